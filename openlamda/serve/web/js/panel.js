/**
 * A panel stands beside the chat on wide windows and is a sheet over it on narrow ones, where the browser's dialog
 * element keeps the focus inside. The content is one element that moves between the two places.
 */

import { el } from "./dom.js";

export class Panel {
  /** `content` is shown in `place` while the window is at least `width` pixels wide; what `stays` is never hidden there. */
  constructor(content, place, { width, label, kind, stays = false, closed = () => {} }) {
    this.content = content;
    this.place = place;
    this.open = false;
    this.stays = stays;
    this.closed = closed;
    this.sheet = el("dialog", { class: `sheet ${kind}`, "aria-label": label });
    this.sheet.addEventListener("close", () => !this.wide.matches && this.hide());
    this.sheet.addEventListener("click", (event) => event.target === this.sheet && this.hide());
    document.body.append(this.sheet);
    this.wide = window.matchMedia(`(min-width: ${width}px)`);
    this.wide.addEventListener("change", () => this.settle());
    this.settle();
  }

  /** Shows the content. */
  show() {
    this.before = document.activeElement;
    this.open = true;
    this.settle();
  }

  /** Hides it; the focus returns to where it was. */
  hide() {
    if (!this.open) return;
    this.open = false;
    this.settle();
    if (this.before?.isConnected) this.before.focus();
    this.closed();
  }

  /** Puts the content where it belongs now. */
  settle() {
    const beside = this.wide.matches;
    this.place.hidden = !(beside && (this.open || this.stays));
    if (beside || !this.open) this.sheet.close();
    (beside ? this.place : this.sheet).append(this.content);
    if (this.open && !beside && !this.sheet.open) this.sheet.showModal();
  }
}
