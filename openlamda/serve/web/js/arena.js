/**
 * Two systems answer the same words, side by side and without names; the names are told after the vote.
 */

import * as api from "./api.js";
import { Composer } from "./composer.js";
import { announce, el } from "./dom.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { notice } from "./notices.js";
import { footnotes, mark } from "./sources.js";

const NAMES = { lamda: "LaMDA, with judges and tools", pt: "PT, the model alone" };
const VOTES = [["left", "Left is better"], ["right", "Right is better"], ["tie", "Equally good"], ["both_bad", "Both are bad"]];

export class Arena {
  constructor(disclosure) {
    this.composer = new Composer({ send: (text) => this.ask(text), stop: () => this.stop(), note: disclosure,
                                   label: "Message to both", button: "Ask both" });
    this.body = el("div", { class: "scroller", tabindex: "-1" });
    this.node = el("section", { class: "chat arena", "aria-label": "Compare two" }, this.body, this.composer.node);
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.beginning();
  }

  focus() {
    this.composer.input.focus();
  }

  beginning() {
    this.body.replaceChildren(el("div", { class: "welcome" },
      el("h2", {}, "Which answers better?"),
      el("p", { class: "lead" }, "Two systems answer the same words. You see no names until you have voted.")));
  }

  stop() {
    if (!this.controller) return false;
    this.controller.abort();
    return true;
  }

  async ask(text) {
    if (this.controller) return;
    const controller = new AbortController();
    this.controller = controller;
    this.composer.setWorking(true);
    this.vote = null;
    const stage = el("p", { class: "stage" }, "Both are thinking");
    const said = el("p", { class: "bubble" }, text);
    this.body.replaceChildren(el("div", { class: "round" }, el("div", { class: "message user" }, said), stage));
    try {
      for await (const { event, data } of api.compare(text, controller.signal)) {
        if (event === "stage") {
          stage.textContent = data.text;
          announce(data.text);
        }
        if (event === "done") this.show(said, data);
      }
    } catch (error) {
      const again = () => this.ask(text);
      stage.replaceWith(notice(controller.signal.aborted ? { status: -1, message: "Stopped." } : error, again));
    } finally {
      this.controller = null;
      this.composer.setWorking(false);
    }
  }

  show(said, { arena_id: id, left, right }) {
    const sides = { left: side("Left", left), right: side("Right", right) };
    const buttons = VOTES.map(([winner, label], i) => el("button", {
      type: "button", class: "plain", "aria-keyshortcuts": String(i + 1), onclick: () => this.give(id, winner) },
      el("kbd", { "aria-hidden": "true" }, String(i + 1)), label));
    this.votes = el("div", { class: "votes", role: "group", "aria-label": "Your vote" }, buttons);
    this.sides = sides;
    this.vote = (winner) => this.give(id, winner);
    this.body.replaceChildren(el("div", { class: "round" }, el("div", { class: "message user" }, said),
      el("div", { class: "sides" }, sides.left.node, sides.right.node), this.votes));
    announce("Both have answered. Vote with the keys 1 to 4.");
    buttons[0].focus();
  }

  async give(id, winner) {
    this.vote = null; // one vote, however often a key is pressed
    for (const button of this.votes.querySelectorAll("button")) button.disabled = true;
    try {
      const names = await api.vote(id, winner);
      this.reveal(names, winner);
    } catch (error) {
      this.votes.replaceChildren(notice(error, () => this.give(id, winner)));
    }
  }

  reveal(systems, winner) {
    const names = { left: NAMES[systems.left] ?? systems.left, right: NAMES[systems.right] ?? systems.right };
    for (const which of ["left", "right"]) {
      const won = winner === which;
      this.sides[which].name.replaceChildren(names[which], won ? el("span", { class: "badge chosen" }, "your choice") : "");
      this.sides[which].node.classList.toggle("won", won);
    }
    const next = el("button", { type: "button", class: "primary", onclick: () => { this.beginning(); this.focus(); } }, "Ask something else");
    this.votes.replaceChildren(el("span", { class: "thanks" }, icon("check"), "Your vote is kept."), next);
    announce(`Left was ${names.left}, right was ${names.right}.`);
    next.focus();
  }

  /** The keys 1 to 4 vote, unless somebody is writing. */
  key(event) {
    const winner = VOTES[Number(event.key) - 1]?.[0];
    if (!winner || !this.vote || event.target.matches("textarea, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.vote(winner);
  }
}

function side(label, { text, sources = [] }) {
  const { ids, node } = footnotes(sources);
  const byK = new Map(sources.map((source) => [source.k, source]));
  const name = el("h2", {}, label);
  return { name, node: el("article", { class: "side-reply", "aria-label": label }, name,
    el("div", { class: "text" }, markdown(text, (k) => byK.has(k) ? mark(byK.get(k), ids.get(k)) : null)), node) };
}
