/**
 * Thumbs under a reply, and the paper's five reasons with a note for who wants to say more.
 */

import * as api from "./api.js";
import { el } from "./dom.js";
import { iconButton } from "./icons.js";
import { toast, words } from "./notices.js";

const REASONS = {
  harmful: "Harmful content",
  incomprehensible: "Incomprehensible",
  misinformation: "Misinformation",
  unfair_bias: "Unfair bias",
  other: "Other",
};

/** The two thumbs of `message`; what was given is kept in it as `feedback`. */
export function feedbackButtons(message) {
  const group = el("span", { class: "thumbs", role: "group", "aria-label": "Rate this reply" });
  const buttons = {
    up: iconButton("up", "Good reply", { onclick: () => give("up") }),
    down: iconButton("down", "Bad reply", { onclick: () => give("down") }),
  };
  const draw = () => {
    for (const [thumb, button] of Object.entries(buttons)) {
      button.setAttribute("aria-pressed", String(message.feedback?.thumb === thumb));
    }
  };
  const send = async (feedback) => {
    const before = message.feedback;
    message.feedback = feedback;
    draw();
    try {
      await api.feedback(message.reply_id, feedback);
      return true;
    } catch (error) {
      message.feedback = before;
      draw();
      toast(words(error));
      return false;
    }
  };
  const give = async (thumb) => {
    const kept = message.feedback?.thumb === thumb ? message.feedback : { thumb, reasons: [], note: "" };
    closeForm(group);
    if (await send(kept)) {
      if (thumb === "down") openForm(group, kept, send);
      else toast("Thank you");
    }
  };
  draw();
  group.append(buttons.up, buttons.down);
  return group;
}

const formOf = (group) => group.closest(".message")?.querySelector(".feedback");
const closeForm = (group) => formOf(group)?.remove();

function openForm(group, { reasons, note }, send) {
  const boxes = Object.entries(REASONS).map(([id, label]) => [id, label,
    el("input", { type: "checkbox", value: id, checked: reasons.includes(id) })]);
  const words = el("textarea", { value: note, maxlength: "2000", rows: "2", placeholder: "Anything else? (optional)",
                                 "aria-label": "Note" });
  const submit = async () => {
    const chosen = boxes.filter(([, , box]) => box.checked).map(([id]) => id);
    if (await send({ thumb: "down", reasons: chosen, note: words.value.trim() })) {
      form.remove();
      group.lastChild.focus();
      toast("Thank you");
    }
  };
  const form = el("div", { class: "feedback", role: "group", "aria-label": "What was wrong?" },
    el("fieldset", {}, el("legend", {}, "What was wrong?"),
      boxes.map(([, label, box]) => el("label", { class: "chip" }, box, label))),
    words,
    el("div", { class: "choices" },
      el("button", { type: "button", class: "plain", onclick: () => { form.remove(); group.lastChild.focus(); } }, "Close"),
      el("button", { type: "button", class: "primary", onclick: submit }, "Send")));
  group.closest(".message").append(form);
  boxes[0][2].focus();
}
