/**
 * The sources of a reply: its marks [k], a preview over a mark, and the footnotes below. Takes sources
 * {k, title, url, quote, verdict} that others wrote; shows them as text.
 */

import { el, freshId, oneLine, outward, webAddress } from "./dom.js";

const GAP = 8; // pixels between a mark and its preview
let shown = null; // { mark, card }

/** The host of a web address, without "www."; "" for others. */
export function hostOf(url) {
  const address = webAddress(url);
  return address ? new URL(address).hostname.replace(/^www\./, "") : "";
}

const titleOf = (source) => oneLine(source.title || hostOf(source.url) || source.url || "") || "Untitled";
const verdictOf = (source) => source.verdict ?? source.support ?? "";

/** What is said about how far a source supports the reply; "" where there is nothing to say. */
function inWords(verdict) {
  return { supported: "has what is said", "not in the source": "does not have all that is said" }[verdict] ?? "";
}

/** The mark of a citation: shows the preview on hover, focus or tap, and leads to the footnote. */
export function mark(source, footnote) {
  const button = el("button", { type: "button", class: "mark", "aria-label": `Source ${source.k}: ${titleOf(source)}` },
                    String(source.k));
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && preview(button, source));
  button.addEventListener("pointerleave", () => setTimeout(() => leave(button), 120));
  button.addEventListener("focus", () => preview(button, source));
  button.addEventListener("blur", () => setTimeout(() => leave(button), 120));
  button.addEventListener("click", (event) => {
    if (event.pointerType === "touch" || event.pointerType === "pen") return preview(button, source);
    hidePreview();
    const line = document.getElementById(footnote);
    line?.scrollIntoView({ block: "nearest" });
    return (line?.querySelector("a") ?? line)?.focus();
  });
  return button;
}

/** The footnotes of a reply, and the ids of their lines by k. */
export function footnotes(sources) {
  const ids = new Map(sources.map((source) => [source.k, freshId("source")]));
  const lines = sources.map((source) => {
    const failed = verdictOf(source) === "not in the source";
    return el("li", { id: ids.get(source.k), tabindex: "-1" },
      el("span", { class: "number", "aria-hidden": "true" }, String(source.k)),
      el("span", {}, outward(source.url, titleOf(source)),
        hostOf(source.url) && el("span", { class: "host" }, hostOf(source.url)),
        failed && el("span", { class: "doubt" }, inWords(verdictOf(source)))));
  });
  return { ids, node: sources.length ? el("ol", { class: "footnotes", "aria-label": "Sources" }, lines) : null };
}

function preview(button, source) {
  if (shown?.mark === button) return;
  hidePreview();
  const id = freshId("preview");
  const verdict = inWords(verdictOf(source));
  const card = el("div", { class: "preview", id, role: "tooltip" },
    el("p", { class: "title" }, outward(source.url, titleOf(source))),
    source.quote && el("blockquote", {}, source.quote),
    el("p", { class: "host" }, hostOf(source.url), verdict && el("span", { class: `verdict ${verdictOf(source) === "supported" ? "holds" : "doubt"}` }, verdict)));
  card.addEventListener("pointerleave", () => setTimeout(() => leave(button), 120));
  button.setAttribute("aria-describedby", id);
  document.body.append(card);
  shown = { mark: button, card };
  place(card, button.getBoundingClientRect());
}

/** Above the mark where there is room, else below; never beyond the window. */
function place(card, mark) {
  const { width, height } = card.getBoundingClientRect();
  const left = Math.max(GAP, Math.min(mark.left - 24, window.innerWidth - width - GAP));
  const top = mark.top - height - GAP > 0 ? mark.top - height - GAP : mark.bottom + GAP;
  card.style.setProperty("left", `${left}px`);
  card.style.setProperty("top", `${top}px`);
}

function leave(button) {
  if (shown?.mark !== button) return;
  const { card } = shown;
  if (card.matches(":hover") || card.contains(document.activeElement) || button.matches(":hover, :focus")) return;
  hidePreview();
}

/** Takes the preview away. Gives whether there was one. */
export function hidePreview() {
  if (!shown) return false;
  shown.mark.removeAttribute("aria-describedby");
  shown.card.remove();
  shown = null;
  return true;
}

document.addEventListener("scroll", () => {
  if (!shown) return;
  const mark = shown.mark.getBoundingClientRect();
  if (mark.bottom < 0 || mark.top > window.innerHeight) hidePreview();
  else place(shown.card, mark);
}, { capture: true, passive: true });
document.addEventListener("pointerdown", (event) => {
  if (shown && !shown.card.contains(event.target) && event.target !== shown.mark) hidePreview();
});
