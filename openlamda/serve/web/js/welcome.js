/**
 * The beginning of a conversation: what this is, who answers, and three things to ask.
 */

import { el } from "./dom.js";
import { icon } from "./icons.js";

/** What the shipped model answers well: a look-up in its bundled knowledge, a sum, a translation. */
const EXAMPLES = ["How high is Mount Kilimanjaro?", "What is 135 + 7721?", "How do you say good morning in Spanish?"];

/** The welcome; `say(text)` sends an example. */
export function welcome(app, say) {
  const role = app.role;
  return el("li", { class: "welcome" },
    el("h2", {}, "Ask, and see why"),
    el("p", { class: "lead" }, "This is a machine: it drafts sixteen replies, judges them itself, looks things up, and ",
      "answers with its sources."),
    app.roles.length > 1 && el("button", { type: "button", class: "plain rolechip", onclick: () => app.pickRole() },
      icon("person"), el("span", {}, "Talk to ", el("strong", {}, role.name)), icon("chevron")),
    role.greeting && el("p", { class: "greets" }, role.greeting),
    el("ul", { class: "examples", "aria-label": "Examples" },
      EXAMPLES.map((text) => el("li", {}, el("button", { type: "button", onclick: () => say(text) }, text)))));
}
