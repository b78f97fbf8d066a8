/**
 * Settings: the theme, the keys that work, who answers, and the reader's own data.
 */

import * as api from "./api.js";
import { confirmed, openDialog } from "./dialogs.js";
import { el } from "./dom.js";
import { toast, words } from "./notices.js";

const THEMES = { system: "As the system", light: "Light", dark: "Dark" };
const KEYS = [["Enter", "send"], ["Shift Enter", "new line"], ["Esc", "stop, or close"], ["/", "to the message box"],
              ["↑ ↓", "move in a list"]];

function themeChoice() {
  const now = document.documentElement.dataset.theme;
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      toast("The browser keeps no settings here"); // the theme holds until the page is closed
    }
  };
  const choice = ([id, label]) => el("label", {},
    el("input", { type: "radio", name: "theme", value: id, checked: id === now, onchange: () => set(id) }), el("span", {}, label));
  return el("fieldset", {}, el("legend", {}, "Theme"), el("div", { class: "segments" }, Object.entries(THEMES).map(choice)));
}

/** Opens the dialog. `me` says who answers; `gone()` is called once all data are deleted. */
export function openSettings(me, gone) {
  const remove = async () => {
    const sure = await confirmed("Delete all your data?",
      "Your conversations, ratings and votes will be gone for good. This cannot be undone.", "Delete everything");
    if (!sure) return;
    try {
      await api.deleteMe();
      dialog.close();
      gone();
    } catch (error) {
      toast(words(error));
    }
  };
  const models = (me.models ?? []).map((model) => (typeof model === "string" ? model : model.id ?? model.name));
  const dialog = openDialog("Settings", [
    themeChoice(),
    el("section", {}, el("h3", {}, "Your data"),
      el("p", {}, "Conversations and ratings are kept on this server, under this browser's session", me.name && ` (${me.name})`, "."),
      el("div", { class: "choices left" },
        el("a", { class: "plain", href: api.EXPORT, download: "openlamda-my-data.json" }, "Export my data"),
        el("button", { type: "button", class: "plain harm", onclick: remove }, "Delete my data"))),
    el("section", {}, el("h3", {}, "Keyboard"),
      el("dl", { class: "keys" }, KEYS.map(([key, does]) => el("div", {},
        el("dt", {}, key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, does))))),
    el("section", {}, el("h3", {}, "Who answers"),
      el("p", {}, me.disclosure, models.length > 0 && el("span", { class: "models" }, ` Model: ${models.join(", ")}.`))),
  ]);
}
