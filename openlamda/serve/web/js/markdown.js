/**
 * Markdown to elements: paragraphs, headings, lists, quotes, code, emphasis, links. Makes nodes and text alone, so that
 * nothing that a model, a page or a user wrote can become markup; an image or HTML stays the text that it is.
 *
 * Every search looks a bounded way ahead: time grows with the text, whoever wrote it.
 */

import { inline } from "./inline.js";
import { el } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]{0,30})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.+?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s{0,12})([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?/;
const DEPTH = 6; // lists and quotes within each other

/** The blocks of `text`. `mark(k)` makes the element of a citation [k], or null where [k] is only text. */
export function markdown(text, mark = () => null) {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), mark, DEPTH);
}

function blocks(lines, mark, depth) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
      continue;
    }
    const [node, next] = fence(lines, at) ?? heading(lines, at, mark) ?? rule(lines, at)
      ?? (depth > 0 ? (quoted(lines, at, mark, depth) ?? list(lines, at, mark, depth)) : null)
      ?? paragraph(lines, at, mark);
    found.push(node);
    at = next;
  }
  return found;
}

function fence(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(open[1])) end += 1;
  const code = el("code", {}, lines.slice(at + 1, end).join("\n"));
  // scrolls sideways, so it can be reached by keyboard
  return [el("pre", { tabindex: "0", role: "region", "aria-label": open[2] ? `Code, ${open[2]}` : "Code" }, code), end + 1];
}

function heading(lines, at, mark) {
  const found = HEADING.exec(lines[at]);
  // the page's own headings are the first two levels
  return found && [el(`h${Math.min(found[1].length + 2, 6)}`, {}, inline(found[2], mark)), at + 1];
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? [el("hr"), at + 1] : null;
}

function quoted(lines, at, mark, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  if (end === at) return null;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return [el("blockquote", {}, blocks(inner, mark, depth - 1)), end];
}

function list(lines, at, mark, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (!item || item[1].length > first[1].length + 1 || /\d/.test(item[2]) !== ordered || RULE.test(lines[end])) break;
    if (item[1].length < first[1].length) break;
    const inner = [item[3]];
    const indent = item[1].length + 2;
    end += 1;
    while (end < lines.length && belongs(lines, end, indent)) inner.push(lines[end++].slice(indent));
    items.push(el("li", {}, tight(blocks(inner, mark, depth - 1))));
    while (end + 1 < lines.length && !lines[end].trim() && ITEM.test(lines[end + 1])) end += 1;
  }
  const start = ordered && Number.parseInt(first[2], 10) !== 1 ? Number.parseInt(first[2], 10) : null;
  return [el(ordered ? "ol" : "ul", { start }, items), end];
}

function belongs(lines, at, indent) {
  const line = lines[at].trim() ? lines[at] : lines[at + 1] ?? "";
  return line.search(/\S/) >= indent;
}

/** An item of one paragraph shows it without a paragraph's distance. */
function tight(nodes) {
  return nodes.length && nodes[0].tagName === "P" ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes;
}

function paragraph(lines, at, mark) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !starts(lines[end])) end += 1;
  const text = lines.slice(at, end).map((line) => line.trim()).join("\n");
  return [el("p", {}, inline(text, mark)), end];
}

function starts(line) {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));
}
