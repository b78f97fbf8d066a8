/**
 * Builds elements: the one way in which this page makes them. Strings become text, never markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on...` are listeners, `style` is a table of CSS properties, null and false leave an attribute out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [property, set] of Object.entries(value)) node.style.setProperty(property, set);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Makes `nodes` the children of `parent`. Those that stay are not moved, so that they keep the focus. */
export function setChildren(parent, nodes) {
  for (const child of [...parent.childNodes]) if (!nodes.includes(child)) child.remove();
  nodes.forEach((node, i) => parent.childNodes[i] !== node && parent.insertBefore(node, parent.childNodes[i] ?? null));
}

/** A name that others chose, as one line: without control characters and those that turn the direction of writing. */
export function oneLine(text) {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
}

/** Tells a screen reader, once. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

let made = 0;
/** An id that nothing on this page has yet. */
export function freshId(prefix) {
  return `${prefix}-${(made += 1)}`;
}

/** The address where it is a web page's, else null: the one test that every link of the page passes. */
export function webAddress(url) {
  try {
    const parsed = new URL(url);
    return ["http:", "https:"].includes(parsed.protocol) && !parsed.username && !parsed.password ? parsed.href : null;
  } catch {
    return null;
  }
}

/** A link that leaves the page, or plain text where the address is no web page's. */
export function outward(url, label) {
  const href = webAddress(url);
  if (!href) return el("span", {}, label);
  return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, label);
}

/** Moves the focus with the arrow keys, Home and End among what `selector` finds in `list`. */
export function arrowKeys(list, selector) {
  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll(selector)];
    const at = items.indexOf(document.activeElement);
    if (at < 0) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined || !items[to]) return;
    event.preventDefault();
    items[to].focus();
  });
}
