/**
 * A message as an element: the user's words, or a reply with its sources, doubts and buttons.
 */

import { el } from "./dom.js";
import { feedbackButtons } from "./feedback.js";
import { icon, iconButton } from "./icons.js";
import { markdown } from "./markdown.js";
import { toast } from "./notices.js";
import { footnotes, mark } from "./sources.js";

const FAILED = ["not in the source", "no source"];

/** `variants` is {ids, at}; `choose(id)` shows another one. Nothing where there is only one. */
function pager(variants, choose, what) {
  const { ids, at } = variants;
  if (ids.length < 2) return null;
  const step = (name, label, to) =>
    iconButton(name, label, { disabled: ids[to] === undefined, onclick: () => choose(ids[to]) });
  return el("span", { class: "pager", role: "group", "aria-label": `${what} ${at + 1} of ${ids.length}` },
    step("left", `Previous ${what.toLowerCase()}`, at - 1),
    el("span", { "aria-hidden": "true" }, `${at + 1}/${ids.length}`),
    step("right", `Next ${what.toLowerCase()}`, at + 1));
}

function copyButton(text) {
  return iconButton("copy", "Copy", {
    async onclick() {
      try {
        await navigator.clipboard.writeText(text);
        toast("Copied");
      } catch {
        toast("The browser did not let this page copy");
      }
    },
  });
}

/** What the user said. `on` has edit(text), choose(id). */
export function userMessage(message, variants, on) {
  const bubble = el("div", { class: "bubble" }, message.text);
  const item = el("li", { class: "message user" }, el("h2", { class: "unseen" }, "You said"), bubble);
  if (on) {
    item.append(el("div", { class: "actions" },
      pager(variants, on.choose, "Version"),
      iconButton("edit", "Edit", { onclick: () => item.replaceChildren(editor(message.text, on.edit, item)) }),
      copyButton(message.text)));
  }
  return item;
}

function editor(text, send, item) {
  const before = [...item.childNodes];
  const back = () => {
    item.replaceChildren(...before);
    item.querySelector("[aria-label=Edit]").focus();
  };
  const input = el("textarea", { value: text, dir: "auto", "aria-label": "Edit your message", maxlength: "8000" });
  const submit = () => input.value.trim() && send(input.value.trim());
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      back();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  queueMicrotask(() => input.focus());
  return el("div", { class: "editor" }, input, el("div", { class: "choices" },
    el("button", { type: "button", class: "plain", onclick: back }, "Cancel"),
    el("button", { type: "button", class: "primary", onclick: submit }, "Send")));
}

/** A reply. `on` has choose(id), again(), inspect(). */
export function agentMessage(message, variants, on) {
  const sources = message.sources ?? [];
  const { ids, node } = footnotes(sources);
  const byK = new Map(sources.map((source) => [source.k, source]));
  const text = markdown(message.text, (k) => byK.has(k) ? mark(byK.get(k), ids.get(k)) : null);
  return el("li", { class: "message agent", "data-reply": message.reply_id },
    el("h2", { class: "unseen" }, "Reply"),
    el("div", { class: "text" }, text),
    node, doubts(message),
    el("div", { class: "actions" },
      pager(variants, on.choose, "Reply"),
      copyButton(message.text),
      iconButton("again", "Another reply", { onclick: on.again }),
      feedbackButtons(message),
      el("button", { type: "button", class: "ghost why", onclick: on.inspect }, icon("inspect"), "Why this reply?")));
}

/** What is not verified, and why a reply is short or fixed; discreet, and nothing where all is well. */
function doubts(message) {
  const failed = (message.claims ?? []).filter((claim) => FAILED.includes(claim.verdict));
  const ends = { length: "Cut at the length limit.", safe_reply: "No candidate passed the filter, so this fixed reply was given." };
  const lines = ends[message.finish_reason] ? [el("p", { class: "remark" }, ends[message.finish_reason])] : [];
  if (failed.length) {
    lines.push(el("details", { class: "remark" },
      el("summary", {}, failed.length === 1 ? "1 statement unverified" : `${failed.length} statements unverified`),
      el("ul", {}, failed.map((claim) => el("li", {}, `“${claim.text}” `,
        el("span", { class: "doubt" }, claim.verdict === "no source" ? "no source for " : "not in the source: ",
          (claim.missing ?? []).join(", ")))))));
  } else if (message.verified === false) {
    lines.push(el("p", { class: "remark" }, "Not all of this is verified."));
  }
  return lines;
}

/** A reply on the way: the stage while nothing may be shown, then the text as it comes. `update(exchange)` goes on. */
export function pendingMessage() {
  const stage = el("p", { class: "stage" });
  const text = el("div", { class: "text" });
  const item = el("li", { class: "message agent pending" }, el("h2", { class: "unseen" }, "Reply on its way"), stage, text);
  const update = (exchange) => {
    stage.hidden = Boolean(exchange.text) || !exchange.working;
    stage.textContent = exchange.stage?.text || "Thinking";
    if (exchange.text) text.replaceChildren(...markdown(exchange.text));
  };
  return { item, update };
}
