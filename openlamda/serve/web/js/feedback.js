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
    const given = { thumb: message.feedback?.thumb === thumb ? null : thumb, reasons: [], note: "" }; // again: take it back
    formOf(group)?.remove();
    if (!(await send(given))) return;
    if (given.thumb === "down") openForm(group, send);
    else toast(given.thumb ? "Thank you" : "Taken back");
  };
  draw();
  group.append(buttons.up, buttons.down);
  return group;
}

const formOf = (group) => group.closest(".message")?.querySelector(".feedback");

function openForm(group, send) {
  const boxes = Object.entries(REASONS).map(([id, label]) => [id, label, el("input", { type: "checkbox", value: id })]);
  const note = el("textarea", { maxlength: "2000", rows: "2", placeholder: "Anything else? (optional)",
                                 "aria-label": "Note" });
  const close = () => {
    form.remove();
    group.lastChild.focus();
  };
  const submit = async () => {
    const chosen = boxes.filter(([, , box]) => box.checked).map(([id]) => id);
    if (await send({ thumb: "down", reasons: chosen, note: note.value.trim() })) {
      close();
      toast("Thank you");
    }
  };
  const form = el("div", { class: "feedback", role: "group", "aria-label": "What was wrong?" },
    el("fieldset", {}, el("legend", {}, "What was wrong?"),
      boxes.map(([, label, box]) => el("label", { class: "chip" }, box, label))),
    note,
    el("div", { class: "choices" },
      el("button", { type: "button", class: "plain", onclick: close }, "Close"),
      el("button", { type: "button", class: "primary", onclick: submit }, "Send")));
  group.closest(".message").append(form);
  boxes[0][2].focus();
}
