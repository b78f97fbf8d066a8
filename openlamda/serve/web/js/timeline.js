/**
 * What was looked up, what the reply states, and the time that it took: the lower half of the inspector.
 */

import { el, oneLine, outward } from "./dom.js";
import { hostOf } from "./sources.js";

/** The queries in order, with what came and what each tool did. */
export function timeline({ research = [], calls = [] }) {
  if (!research.length) return el("p", { class: "remark" }, "Nothing was looked up: the draft was said as it was.");
  const left = [...calls];
  return el("ol", { class: "timeline" }, research.map(({ query, results, error }) => {
    const own = [];
    while (left.length && left[0].query === query && !own.some((call) => call.tool === left[0].tool)) own.push(left.shift());
    return el("li", {},
      el("p", { class: "query" }, query),
      results.map((result) => el("blockquote", {}, result.text,
        result.url && el("footer", {}, outward(result.url, oneLine(result.title || result.url)), " ", el("span", { class: "host" }, hostOf(result.url))))),
      !results.length && el("p", { class: "remark" }, error ? `Failed: ${error}` : "Nothing found"),
      own.length > 0 && el("p", { class: "calls" }, own.map((call) => el("span", { class: call.results ? "came" : "" }, said(call)))));
  }));
}

function said({ tool, ms, cached, results, failure }) {
  const came = failure ?? (results === 1 ? "1 result" : `${results} results`);
  return `${tool}: ${came}, ${cached ? "from the cache" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`}`;
}

const HOLDS = { supported: "holds", "not in the source": "doubt", "no source": "doubt" };

/** The sentences of the reply with their verdicts. */
export function claimList(claims) {
  return el("ul", { class: "claims" }, claims.map(({ text, cites, verdict, missing }) => el("li", {},
    text, cites.map((k) => el("sup", {}, `[${k}]`)), " ",
    el("span", { class: `verdict ${HOLDS[verdict] ?? ""}` }, verdict, missing?.length > 0 && `: ${missing.join(", ")}`))));
}

/** Seconds a step as bars. */
export function durations(timings) {
  const steps = Object.entries(timings);
  const longest = Math.max(1e-9, ...steps.map(([, seconds]) => seconds));
  const total = steps.reduce((sum, [, seconds]) => sum + seconds, 0);
  return el("dl", { class: "durations" },
    steps.map(([name, seconds]) => el("div", {}, el("dt", {}, name.replace(": ", " · ")),
      el("dd", {}, el("span", { class: "bar", "aria-hidden": "true" }, el("span", { style: { width: `${(100 * seconds) / longest}%` } })),
        el("span", {}, `${seconds.toFixed(2)} s`)))),
    el("div", { class: "total" }, el("dt", {}, "All"), el("dd", {}, el("span", { class: "bar none" }), el("span", {}, `${total.toFixed(2)} s`))));
}
