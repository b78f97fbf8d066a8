/**
 * A session for this browser: without a question where the server lets everybody in, else by an API key.
 */

import * as api from "./api.js";
import { el } from "./dom.js";
import { words } from "./notices.js";

let running = null;

/** Resolves once there is a session. Callers at the same moment share one dialog. */
export function signIn() {
  running ??= begin().finally(() => {
    running = null;
  });
  return running;
}

/** One tab after the other, where the browser can see to that: two new sessions at once would be two visitors. */
function alone(call) {
  return navigator.locks ? navigator.locks.request("session", call) : call();
}

async function begin() {
  try {
    await alone(() => api.newSession());
  } catch (error) {
    if (![400, 401, 403, 422].includes(error.status)) throw error;
    await askForKey();
  }
}

function askForKey() {
  return new Promise((resolve) => {
    const problem = el("p", { class: "problem", role: "alert" });
    const input = el("input", { type: "password", name: "key", autocomplete: "off", spellcheck: "false", required: true,
                                placeholder: "olk_…", autofocus: true });
    const form = el("form", { method: "dialog" },
      el("p", {}, "This server asks for an API key. Who runs it can give you one."),
      el("label", {}, "API key", input), problem,
      el("div", { class: "choices" }, el("button", { class: "primary" }, "Sign in")));
    const dialog = el("dialog", { class: "small", "aria-label": "Sign in" }, el("header", {}, el("h2", {}, "Sign in")), form);
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await api.newSession(input.value.trim());
        dialog.remove();
        resolve();
      } catch (error) {
        problem.textContent = [401, 403].includes(error.status) ? "This key is not known here." : words(error);
        input.select();
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
