/**
 * What stands within a line of Markdown: emphasis, code, links, citations. Gives nodes and strings; strings stay text.
 */

import { el, outward, webAddress } from "./dom.js";

const AHEAD = 2000; // characters that a search looks ahead
const DEPTH = 8; // emphasis within emphasis
const SPECIAL = /[\\`*_~[\nh]/g;
const ADDRESS = /https?:\/\/[^\s<>"'`\p{Cf}]{1,2000}/uy; // none with what cannot be seen
const MARK = /\[(\d{1,3})\](?!\()/y;
const TAGS = { "**": "strong", "__": "strong", "~~": "del", "*": "em", "_": "em" };

/** The nodes of a line or paragraph. */
export function inline(text, mark, depth = DEPTH) {
  const found = [];
  let plain = "";
  let at = 0;
  const push = (node) => {
    if (plain) found.push(plain);
    plain = "";
    found.push(node);
  };
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const special = SPECIAL.exec(text);
    if (!special) break;
    plain += text.slice(at, special.index);
    at = special.index;
    const taken = take(text, at, mark, depth);
    if (taken?.node) push(taken.node);
    else plain += taken?.text ?? text[at];
    at = taken?.end ?? at + 1;
  }
  plain += text.slice(at);
  if (plain) found.push(plain);
  return found;
}

function take(text, at, mark, depth) {
  switch (text[at]) {
    case "\\":
      return /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? { text: text[at + 1], end: at + 2 } : null;
    case "\n":
      return { node: el("br"), end: at + 1 };
    case "`":
      return code(text, at);
    case "[":
      return citation(text, at, mark) ?? link(text, at, depth);
    case "h":
      return address(text, at);
    default:
      return depth > 0 ? emphasis(text, at, mark, depth) : null;
  }
}

/** Where `what` stands next, at most AHEAD characters on; -1 where it does not. */
function next(text, what, from) {
  const found = text.slice(from, from + AHEAD).indexOf(what);
  return found < 0 ? -1 : from + found;
}

function code(text, at) {
  const ticks = /^`+/.exec(text.slice(at, at + 20))[0];
  const end = next(text, ticks, at + ticks.length);
  if (end < 0) return { text: ticks, end: at + ticks.length };
  const inside = text.slice(at + ticks.length, end).replace(/\n/g, " ");
  return { node: el("code", {}, inside.trim() || inside), end: end + ticks.length };
}

function citation(text, at, mark) {
  MARK.lastIndex = at;
  const found = MARK.exec(text);
  const node = found && mark(Number(found[1]));
  return node ? { node, end: at + found[0].length } : null;
}

function link(text, at, depth) {
  const middle = next(text, "](", at + 1);
  const end = middle < 0 ? -1 : next(text, ")", middle + 2);
  if (end < 0) return null;
  const label = text.slice(at + 1, middle);
  const url = text.slice(middle + 2, end).replace(/\s+["'].*$/s, "").trim();
  if (label.includes("\n\n") || !label.trim() || !webAddress(url)) return null;
  return { node: outward(url, inline(label.replace(/https?:/g, "$&\u200b"), () => null, Math.min(depth - 1, 2))), end: end + 1 };
}

function address(text, at) {
  ADDRESS.lastIndex = at;
  if (at > 0 && /\w/.test(text[at - 1])) return null;
  let url = ADDRESS.exec(text)?.[0].replace(/[.,;:!?*_~\]]+$/, "");
  if (url?.endsWith(")") && !url.includes("(")) url = url.replace(/\)+[.,;:!?]*$/, "");
  return url && webAddress(url) ? { node: outward(url, url), end: at + url.length } : null;
}

function emphasis(text, at, mark, depth) {
  const sign = text[at] === text[at + 1] ? text.slice(at, at + 2) : text[at];
  const from = at + sign.length;
  if (!TAGS[sign]) return { text: sign, end: from };
  const within = /\w/.test(text[at - 1] ?? "");
  if (/\s/.test(text[from] ?? " ") || (sign[0] === "_" && within)) return { text: sign, end: from };
  for (let end = next(text, sign, from); end > 0; end = next(text, sign, end + sign.length)) {
    if (end - at > AHEAD) break;
    const after = text[end + sign.length] ?? "";
    const doubled = sign.length === 1 && (after === sign || text[end - 1] === sign);
    if (end === from || /\s/.test(text[end - 1]) || doubled || (sign[0] === "_" && /\w/.test(after))) continue;
    return { node: el(TAGS[sign], {}, inline(text.slice(from, end), mark, depth - 1)), end: end + sign.length };
  }
  return { text: sign, end: from };
}
