/**
 * Why a reply was given: its candidates under thresholds that the reader may move, what was looked up, and how long each
 * step took. Takes the trace of a reply as the server gives it.
 */

import * as api from "./api.js";
import { CandidateTable } from "./candidates.js";
import { Controls } from "./controls.js";
import { el, freshId } from "./dom.js";
import { iconButton } from "./icons.js";
import { notice } from "./notices.js";
import { claimList, durations, timeline } from "./timeline.js";

const ROUNDS = { draft: "Drafts", final: "After research" };

export class Inspector {
  /** `close` is called by its button. */
  constructor(close) {
    this.title = el("h2", { tabindex: "-1" }, "Why this reply");
    this.body = el("div", { class: "body" });
    this.node = el("aside", { class: "inspector", "aria-label": "Why this reply" },
      el("header", {}, this.title, iconButton("close", "Close", { onclick: close })), this.body);
  }

  /** Reads the trace of a reply and shows it. */
  async show(replyId) {
    this.replyId = replyId;
    this.body.replaceChildren(el("p", { class: "remark loading" }, "Loading"));
    this.title.focus();
    try {
      const trace = await api.trace(replyId);
      if (this.replyId === replyId) this.draw(trace);
    } catch (error) {
      if (this.replyId === replyId) this.body.replaceChildren(notice(error, () => this.show(replyId)));
    }
  }

  draw(trace) {
    this.body.replaceChildren(
      ...rounds(trace),
      section("Research", timeline(trace)),
      trace.claims?.length ? section("What it states", claimList(trace.claims)) : "",
      section("Time", durations(trace.timings ?? {})),
      el("p", { class: "fine" }, [trace.model && `Model ${trace.model}`, trace.role && `role ${trace.role}`, `seed ${trace.seed}`]
        .filter(Boolean).join(" · ")));
  }
}

function section(title, ...content) {
  const id = freshId("section");
  return el("section", { "aria-labelledby": id }, el("h3", { id }, title), content);
}

/** The rounds of candidates as tabs, the last one first shown. */
function rounds(trace) {
  const names = Object.keys(trace.rounds ?? {});
  if (!names.length) return [el("p", { class: "remark" }, "Nothing was drawn for this reply.")];
  const panel = el("div", { role: "tabpanel", id: freshId("round"), class: "round" });
  const tabs = names.map((name) => el("button", {
    type: "button", role: "tab", id: freshId("tab"), "aria-controls": panel.id, onclick: () => select(name) },
    ROUNDS[name] ?? name, el("span", { class: "count" }, String(trace.rounds[name].length))));
  const list = el("div", { role: "tablist", class: "tabs", "aria-label": "Rounds of candidates" }, tabs);
  const select = (name) => {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(names[i] === name));
      tab.tabIndex = names[i] === name ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", tabs[names.indexOf(name)].id);
    panel.replaceChildren(...candidates(trace, name));
  };
  list.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const to = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    select(names[to]);
    tabs[to].focus();
  });
  select(names[names.length - 1]);
  return [list, panel];
}

function candidates(trace, name) {
  const drawn = trace.rounds[name];
  const judged = drawn.some((candidate) => Object.keys(candidate.scores ?? {}).length > 0);
  const table = new CandidateTable(drawn, judged);
  if (!judged) {
    const said = "This model has no judges: the draft that is likeliest for its length was taken.";
    return [el("p", { class: "remark" }, said), table.node];
  }
  return [new Controls(trace, drawn, (outcome) => table.show(outcome)).node, table.node];
}
