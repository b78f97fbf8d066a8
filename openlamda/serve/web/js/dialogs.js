/**
 * Dialogs over the page: the browser's own element keeps the focus inside and closes on Escape.
 */

import { el, freshId } from "./dom.js";
import { iconButton } from "./icons.js";

/** Opens a dialog; gives its element. It removes itself on closing and the focus returns to where it was. */
export function openDialog(title, content, attributes = {}) {
  const id = freshId("dialog");
  const before = document.activeElement;
  const dialog = el("dialog", { "aria-labelledby": id, ...attributes },
    el("header", {}, el("h2", { id }, title), iconButton("close", "Close", { onclick: () => dialog.close() })),
    content);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // the backdrop
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks whether to do what cannot be undone. Resolves to a boolean. */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    let answer = false;
    const sure = () => {
      answer = true;
      dialog.close();
    };
    const dialog = openDialog(title, [
      el("p", {}, text),
      el("div", { class: "choices" },
        el("button", { type: "button", class: "plain", autofocus: true, onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "button", class: "danger", onclick: sure }, action)),
    ], { class: "small", role: "alertdialog" });
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/** Asks for a line of text. Resolves to it, or to null where it was left as it is. */
export function asked(title, label, value) {
  return new Promise((resolve) => {
    let answer = null;
    const input = el("input", { type: "text", value, maxlength: "200", autofocus: true, required: true });
    const form = el("form", { method: "dialog" }, el("label", {}, label, input),
      el("div", { class: "choices" }, el("button", { class: "primary" }, "Save")));
    form.addEventListener("submit", (event) => {
      event.preventDefault(); // the policy lets no form go anywhere
      answer = input.value.trim() || null;
      dialog.close();
    });
    const dialog = openDialog(title, form, { class: "small" });
    dialog.addEventListener("close", () => resolve(answer));
  });
}
