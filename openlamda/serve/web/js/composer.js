/**
 * The message box: Enter sends, Shift+Enter makes a line, and its button stops what is on its way. What was written and
 * not sent stays over a reload of this tab.
 */

import { el } from "./dom.js";
import { icon } from "./icons.js";

const draftOf = (place) => `draft:${place}`;

/** Forgets what was written and not sent in a conversation. */
export function forgetDraft(place) {
  sessionStorage.removeItem(draftOf(place));
}

export class Composer {
  /** `send(text)` and `stop()` are called; `note` is what stands below the box. */
  constructor({ send, stop, note, label = "Message", button = "Send" }) {
    this.send = send;
    this.stop = stop;
    this.sends = button;
    this.working = false;
    this.input = el("textarea", { id: "message", rows: "1", maxlength: "8000", placeholder: "Ask something", "aria-label": label, dir: "auto",
                                  autocomplete: "off", oninput: () => this.changed(), onkeydown: (event) => this.key(event) });
    this.button = el("button", { type: "button", class: "send", onclick: () => (this.working ? this.stop() : this.submit()) });
    this.note = el("p", { class: "fine" }, note);
    this.node = el("div", { class: "composer" }, el("div", { class: "box" }, this.input, this.button), this.note);
    this.draw();
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.working) this.submit();
  }

  submit() {
    const text = this.input.value.trim();
    if (!text) return this.input.focus();
    this.fill("");
    return this.send(text);
  }

  /** Which conversation's unsent words are shown. */
  open(place) {
    this.place = draftOf(place);
    this.input.value = sessionStorage.getItem(this.place) ?? "";
    this.fit();
    this.draw();
  }

  /** Keeps words that were sent and not answered yet, so that a reload brings them back into the box. */
  keep(place, text) {
    sessionStorage.setItem(draftOf(place), text);
  }

  fill(text) {
    this.input.value = text;
    this.changed();
  }

  changed() {
    if (this.place) {
      if (this.input.value) sessionStorage.setItem(this.place, this.input.value);
      else sessionStorage.removeItem(this.place);
    }
    this.fit();
    this.draw();
  }

  /** As high as its text, where the browser cannot do so itself (CSS field-sizing). */
  fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.setProperty("height", "auto");
    this.input.style.setProperty("height", `${this.input.scrollHeight}px`);
  }

  setWorking(working) {
    this.working = working;
    this.draw();
  }

  draw() {
    const label = this.working ? "Stop" : this.sends;
    if (this.button.getAttribute("aria-label") !== label) {
      this.button.setAttribute("aria-label", label);
      this.button.title = this.working ? "Stop (Esc)" : `${this.sends} (Enter)`;
      this.button.replaceChildren(icon(this.working ? "stop" : "send"));
    }
    this.button.classList.toggle("idle", !this.working && !this.input.value.trim());
  }
}
