/**
 * The threshold of safety and the weights of a round, to be moved: every change ranks the candidates again at once, by
 * scores that are there already. Says which reply would have been given.
 */

import { el, freshId } from "./dom.js";
import { rerank, WEIGHTS } from "./rerank.js";

export class Controls {
  /** `changed({fates, chosen})` is called now and after every change. */
  constructor(trace, candidates, changed) {
    this.candidates = candidates;
    this.changed = changed;
    this.thresholds = { ...trace.thresholds };
    this.own = { safe: trace.thresholds?.safe ?? 0, ...WEIGHTS, ...trace.weights };
    this.outcome = el("p", { class: "outcome", role: "status" });
    const grounded = candidates.some((candidate) => candidate.scores.grounded !== undefined);
    this.inputs = { safe: this.slider() };
    for (const name of ["sensible", "specific", "interesting", ...(grounded ? ["grounded"] : [])]) {
      this.inputs[name] = el("input", { type: "number", min: "0", max: "9", step: "0.5", value: this.own[name], oninput: () => this.rank() });
    }
    const { safe, ...weights } = this.inputs;
    this.reset = el("button", { type: "button", class: "plain", onclick: () => this.back() }, "As it was");
    const id = freshId("safe");
    safe.id = id;
    this.node = el("div", { class: "controls" },
      el("div", { class: "threshold" }, el("label", { for: id }, "Safe at least"), safe, this.shown),
      el("div", { class: "weights", role: "group", "aria-label": "Weights" },
        Object.entries(weights).map(([name, input]) => el("label", {}, name, input))),
      el("div", { class: "result" }, this.outcome, this.reset));
    this.rank();
  }

  slider() {
    this.shown = el("span", { class: "value", "aria-hidden": "true" });
    return el("input", { type: "range", min: "0", max: "1", step: "0.01", value: this.own.safe, oninput: () => this.rank() });
  }

  back() {
    for (const [name, input] of Object.entries(this.inputs)) input.value = this.own[name];
    this.rank();
  }

  /** The value of a control; the server's own, unrounded, where it was not moved. */
  value(name) {
    const input = this.inputs[name];
    if (!input) return this.own[name];
    const number = input.valueAsNumber;
    if (!Number.isFinite(number)) return 0;
    return Math.abs(number - this.own[name]) < (name === "safe" ? 0.005 : 1e-9) ? this.own[name] : number;
  }

  rank() {
    const weights = Object.fromEntries(Object.keys(WEIGHTS).map((name) => [name, this.value(name)]));
    const safe = this.value("safe");
    this.shown.textContent = safe.toFixed(2);
    this.inputs.safe.setAttribute("aria-valuetext", safe.toFixed(2));
    this.reset.disabled = Object.keys(this.inputs).every((name) => this.value(name) === this.own[name]);
    const outcome = rerank(this.candidates, { ...this.thresholds, safe }, weights);
    this.say(outcome);
    this.changed(outcome);
  }

  say({ fates, chosen }) {
    const dropped = fates.filter((fate) => fate.dropped).length;
    const said = this.candidates.findIndex((candidate) => candidate.chosen);
    const text = this.candidates[chosen]?.text; // "" where the server shows no candidate's text
    const same = chosen >= 0 && (chosen === said || (text && text === this.candidates[said]?.text));
    const parts = [`${dropped} of ${fates.length} dropped. `];
    if (chosen < 0) parts.push("Nothing would be left: the fixed safe reply would have been given.");
    else if (same) parts.push("The same reply is chosen.");
    else parts.push("Would have been chosen: ", text ? el("q", {}, text) : "another one.");
    if (fates[chosen]?.unchecked) parts.push(" (its claims were never checked)");
    this.outcome.classList.toggle("differs", !same);
    this.outcome.replaceChildren(...parts);
  }
}
