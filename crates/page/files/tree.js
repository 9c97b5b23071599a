// JSON value as a tree of folds. Closed folds are not drawn, so large values stay fast.

import { element } from "./elements.js";

/** Members drawn at once. */
const AT_ONCE = 200;
/** Members up to which a fold is drawn open. */
const FEW = 8;
/** Nodes drawn before further folds are drawn closed, for each click. */
const OPEN_NODES = 1000;
/** Levels drawn. Browsers need quadratic time to lay out nested folds. */
const MAX_DEPTH = 100;

/** Draws the value; with a `filter` of `search()` only the members that it passes. */
export function tree(value, filter = null) {
  return element("ul", { class: "tree" }, node(null, value, 1, { left: OPEN_NODES }, filter));
}

/**
 * Searches keys and values for a text; the case of letters is ignored. Returns the number of
 * members that contain it, and a filter that passes them, with all below and above them.
 */
export function search(value, text) {
  const wanted = text.toLowerCase();
  const has = (part) => String(part).toLowerCase().includes(wanted);
  const isMatch = (key, item) => (typeof key === "string" && has(key)) || (!isObject(item) && has(item));
  const above = new Set();
  let count = 0;
  const visit = (key, item, depth) => {
    let found = isMatch(key, item);
    if (found) count += 1;
    if (isObject(item) && depth <= MAX_DEPTH) {
      for (const [inner, below] of members(item)) found = visit(inner, below, depth + 1) || found;
      if (found) above.add(item);
    }
    return found;
  };
  visit(null, value, 1);
  return { count, filter: { isMatch, above } };
}

function isObject(value) {
  return value !== null && typeof value === "object";
}

function members(value) {
  return Array.isArray(value) ? value.map((item, at) => [at, item]) : Object.entries(value);
}

/** Draws one member. `budget.left` nodes may be drawn with it. */
function node(key, value, depth, budget, filter) {
  budget.left -= 1;
  const label = key === null ? [] : [element("span", { class: "key mono" }, key), ": "];
  if (!isObject(value)) return element("li", {}, ...label, leaf(value));
  if (depth > MAX_DEPTH) {
    const note = `nested deeper than ${MAX_DEPTH} levels: see raw`;
    return element("li", {}, ...label, element("span", { class: "faint" }, note));
  }
  const all = members(value);
  const kind = Array.isArray(value) ? `[${all.length}]` : `{${all.length}}`;
  const below = filter !== null && key !== null && filter.isMatch(key, value) ? null : filter;
  const passes = ([inner, item]) => below === null || below.above.has(item) || below.isMatch(inner, item);
  const shown = all.filter(passes);
  const inner = element("ul");
  const details = element("details", {}, element("summary", {}, ...label, element("span", { class: "kind" }, kind)), inner);
  const draw = (nodes) => fill(inner, shown, 0, { depth: depth + 1, budget: nodes, filter: below });
  details.addEventListener("toggle", () => {
    if (details.open && inner.childElementCount === 0) draw({ left: OPEN_NODES });
  });
  const isShort = shown.length <= FEW || below !== null;
  details.open = depth === 1 || (isShort && budget.left > 0);
  // The toggle event comes later; open folds are filled at once.
  if (details.open) draw(budget);
  return element("li", {}, details);
}

function fill(inner, shown, from, { depth, budget, filter }) {
  const until = Math.min(from + AT_ONCE, shown.length);
  inner.append(...shown.slice(from, until).map(([key, value]) => node(key, value, depth, budget, filter)));
  if (until === shown.length) return;
  const more = element("button", { type: "button" }, `show ${shown.length - until} more`);
  const item = element("li", {}, more);
  more.addEventListener("click", () => {
    item.remove();
    fill(inner, shown, until, { depth, budget: { left: OPEN_NODES }, filter });
  });
  inner.append(item);
}

function leaf(value) {
  const kind = value === null ? "null" : typeof value;
  return element("span", { class: `mono ${kind}` }, JSON.stringify(value));
}
