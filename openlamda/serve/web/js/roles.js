/**
 * Who the agent is: a dialog to choose a role for the next conversation.
 */

import { openDialog } from "./dialogs.js";
import { el } from "./dom.js";

/** Opens the choice. Resolves to the chosen role, or to null. */
export function chooseRole(roles, current) {
  return new Promise((resolve) => {
    let chosen = null;
    const cards = roles.map((role) => {
      const radio = el("input", { type: "radio", name: "role", value: role.id, checked: role.id === current.id,
                                  autofocus: role.id === current.id });
      return el("label", { class: "card" }, radio, el("span", {},
        el("strong", {}, role.name),
        role.description && el("span", { class: "about" }, role.description),
        role.greeting && el("q", {}, role.greeting)));
    });
    const form = el("form", { method: "dialog" },
      el("fieldset", { class: "cards" }, el("legend", { class: "unseen" }, "Roles"), cards),
      el("p", { class: "fine" }, "A role is given to a conversation when it begins. Whatever its role, it is a machine."),
      el("div", { class: "choices" }, el("button", { class: "primary" }, "Talk")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const id = form.querySelector("input:checked")?.value;
      chosen = roles.find((role) => role.id === id) ?? null;
      dialog.close();
    });
    const dialog = openDialog("Who do you want to talk to?", form);
    dialog.addEventListener("close", () => resolve(chosen));
  });
}
