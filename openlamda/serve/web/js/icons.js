/**
 * The page's icons: strokes on a grid of 24, drawn here. They are decoration; the button's label is what is read.
 */

import { el, svg } from "./dom.js";

const STROKES = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  send: "M12 19V5M5.500 11.500 12 5l6.500 6.500",
  stop: "M7.500 7.500h9v9h-9z",
  copy: "M9 9h10v11H9zM5.500 15.500H5V4h10v1.500",
  check: "M5 12.500 10 17.500 19 7",
  edit: "M5 19l.8-3.600L16 5.200 18.800 8 8.600 18.200zM14 7.200 16.800 10",
  again: "M19 12a7 7 0 1 1-2.200-5.100M19 4v4h-4",
  up: "M8 11v9H4.500v-9zM8 11l3.600-7.200c1.500 0 2.400 1 2.400 2.500V10h4.600c1 0 1.700.9 1.500 1.900l-1.300 6.500c-.2.900-.9 1.600-1.900 1.600H8",
  down: "M16 13V4h3.500v9zM16 13l-3.600 7.200c-1.500 0-2.400-1-2.400-2.500V14H5.400c-1 0-1.700-.9-1.500-1.900l1.300-6.500C5.400 4.700 6.100 4 7.100 4H16",
  inspect: "M5 20v-7M10 20V4M15 20v-9M20 20v-5",
  close: "M6 6l12 12M18 6 6 18",
  settings: "M4 8h9M17 8h3M4 16h3M11 16h9M15 5.800v4.400M9 13.800v4.400",
  left: "M14.500 6 8.500 12l6 6",
  right: "M9.500 6l6 6-6 6",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  arena: "M4 5h6.500v14H4zM13.500 5H20v14h-6.500z",
  person: "M12 12a3.800 3.800 0 1 0 0-7.600 3.800 3.800 0 0 0 0 7.600zM5 20c.8-3.600 3.600-5.500 7-5.500s6.200 1.900 7 5.500",
  out: "M10 6H5v13h13v-5M13.500 5H19v5.500M19 5l-8.500 8.500",
  chevron: "M7 10l5 5 5-5",
};

/** The icon of a name. */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: STROKES[name] }));
}

/** A button that shows an icon alone; `label` is its name and its tooltip. */
export function iconButton(name, label, attributes = {}) {
  return el("button", { type: "button", "aria-label": label, title: label, ...attributes,
                        class: `ghost ${attributes.class ?? ""}`.trim() }, icon(name));
}
