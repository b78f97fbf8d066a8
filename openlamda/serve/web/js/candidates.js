/**
 * The candidates of a round as a table that sorts by any column; equal ones share a line. A text that was dropped as
 * unsafe is covered until the reader asks for it.
 */

import { el } from "./dom.js";
import { SCORES } from "./rerank.js";

const NUMBER = (value) => value.toFixed(2);

export class CandidateTable {
  constructor(candidates, judged) {
    this.scores = SCORES.filter((name) => candidates.some((candidate) => name in (candidate.scores ?? {})));
    this.judged = judged;
    this.lines = grouped(candidates);
    this.sorted = { by: "fate", down: true };
    this.uncovered = new Set();
    this.best = 1;
    this.rows = el("tbody");
    this.heads = new Map();
    const columns = [["fate", "Reply"], ...(judged ? [["total", "Total"]] : [["logprob", "Log P"]]), ...this.scores.map((name) => [name, name[0].toUpperCase() + name.slice(1)])];
    const head = el("tr", {}, columns.map(([name, label]) => {
      const cell = el("th", { scope: "col", class: name === "fate" ? "words" : "figure" },
        el("button", { type: "button", onclick: () => this.sort(name) }, label));
      this.heads.set(name, cell);
      return cell;
    }));
    const all = `${candidates.length} candidates`;
    this.node = el("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Candidates" },
      el("table", { class: "candidates" },
        el("caption", {}, this.lines.length < candidates.length ? `${all}, ${this.lines.length} different` : all),
        el("thead", {}, head), this.rows));
    this.show(asRecorded(candidates));
  }

  /** Draws the table under `outcome`: {fates, chosen}, by candidate. */
  show(outcome) {
    this.outcome = outcome;
    this.best = Math.max(1e-9, ...outcome.fates.map((fate) => fate.quality));
    this.draw();
  }

  sort(by) {
    this.sorted = { by, down: this.sorted.by === by ? !this.sorted.down : true };
    this.draw();
  }

  draw() {
    const { by, down } = this.sorted;
    for (const [name, cell] of this.heads) {
      if (name === by) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const lines = [...this.lines].sort((a, b) => (down ? 1 : -1) * compare(this.worth(b, by), this.worth(a, by)));
    this.rows.replaceChildren(...lines.map((line) => this.row(line)));
  }

  fate(line) {
    const chosen = line.members.includes(this.outcome.chosen);
    return { ...this.outcome.fates[chosen ? this.outcome.chosen : line.members[0]], chosen };
  }

  worth(line, by) {
    const { dropped, chosen, quality } = this.fate(line);
    if (by === "fate") return [chosen ? 2 : dropped ? 0 : 1, quality];
    if (by === "total") return [quality];
    if (by === "logprob") return [line.logprob];
    return [line.scores[by] ?? -1];
  }

  row(line) {
    const fate = this.fate(line);
    const state = fate.chosen ? "chosen" : fate.dropped ? `dropped ${fate.dropped === "unsafe" ? "unsafe" : ""}` : "";
    const bars = this.scores.map((name) => figure(name, line.scores[name], line.scores[name]));
    const total = this.judged ? figure("total", fate.quality, fate.quality / this.best)
      : el("td", { class: "figure" }, line.logprob.toFixed(1));
    return el("tr", { class: state },
      el("td", { class: "words" },
        this.words(line, fate), " ",
        line.members.length > 1 && el("span", { class: "times", title: `drawn ${line.members.length} times` }, `×${line.members.length}`),
        fate.chosen && el("span", { class: "badge chosen" }, "chosen"),
        line.said && !fate.chosen && el("span", { class: "badge" }, "was chosen"),
        fate.dropped && el("span", { class: "badge dropped" }, fate.dropped),
        fate.unchecked && el("span", { class: "badge" }, "claims not checked")),
      total, bars);
  }

  words(line, fate) {
    if (fate.dropped !== "unsafe" || this.uncovered.has(line)) {
      return el("span", { class: "said" }, line.text || (fate.dropped === "empty" ? "(empty)" : "(not shown on this server)"));
    }
    const show = () => {
      this.uncovered.add(line);
      this.draw();
    };
    return el("button", { type: "button", class: "cover", onclick: show }, "Dropped text: show");
  }
}

/** Equal texts of the same scores and fate in one line, in order of first appearance. */
function grouped(candidates) {
  const lines = new Map();
  candidates.forEach(({ text, logprob, scores, dropped, chosen }, i) => {
    const key = JSON.stringify([text, scores, dropped]);
    if (!lines.has(key)) lines.set(key, { text, logprob, scores: scores ?? {}, said: false, members: [] });
    lines.get(key).members.push(i);
    lines.get(key).said ||= chosen;
  });
  return [...lines.values()];
}

function asRecorded(candidates) {
  return { chosen: candidates.findIndex((candidate) => candidate.chosen),
           fates: candidates.map(({ dropped }) => ({ dropped, quality: 0 })) };
}

function compare(a, b) {
  return a.map((value, i) => value - b[i]).find((difference) => difference !== 0) ?? 0;
}

/** A number over its bar; `share` of the bar is filled. */
function figure(name, value, share) {
  if (value === undefined) return el("td", { class: "figure" }, "");
  const filled = `${Math.round(100 * Math.max(0, Math.min(1, share)))}%`;
  return el("td", { class: `figure ${name}`, "data-label": name }, NUMBER(value),
    el("span", { class: "bar", "aria-hidden": "true" }, el("span", { style: { width: filled } })));
}
