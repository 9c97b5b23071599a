// JSON value as a tree of folds. Closed folds are not drawn, so large values stay fast.

import { element } from "./words.js";

/** Members drawn at once. */
const AT_ONCE = 200;
/** Members up to which a fold is drawn open. */
const FEW = 8;
/** Nodes drawn before further folds are drawn closed, for each click. */
const OPEN_NODES = 1000;
/** Levels drawn. Browsers need quadratic time to lay out nested folds. */
const MAX_DEPTH = 100;

export function tree(value) {
  return element("ul", { class: "tree" }, node(null, value, 1, { left: OPEN_NODES }));
}

/** Draws one member. `budget.left` nodes may be drawn with it. */
function node(key, value, depth, budget) {
  budget.left -= 1;
  const label = key === null ? [] : [element("span", { class: "key mono" }, key), ": "];
  if (value === null || typeof value !== "object") {
    return element("li", {}, ...label, leaf(value));
  }
  if (depth > MAX_DEPTH) {
    const note = `nested deeper than ${MAX_DEPTH} levels: see raw`;
    return element("li", {}, ...label, element("span", { class: "faint" }, note));
  }
  const members = Array.isArray(value) ? value.map((item, at) => [at, item]) : Object.entries(value);
  const kind = Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`;
  const inner = element("ul");
  const details = element("details", {}, element("summary", {}, ...label, element("span", { class: "kind" }, kind)), inner);
  const draw = (nodes) => fill(inner, members, 0, depth + 1, nodes);
  details.addEventListener("toggle", () => {
    if (details.open && inner.childElementCount === 0) draw({ left: OPEN_NODES });
  });
  details.open = depth === 1 || (members.length <= FEW && budget.left > 0);
  // The toggle event comes later; open folds are filled at once.
  if (details.open) draw(budget);
  return element("li", {}, details);
}

function fill(inner, members, from, depth, budget) {
  const until = Math.min(from + AT_ONCE, members.length);
  inner.append(...members.slice(from, until).map(([key, value]) => node(key, value, depth, budget)));
  if (until === members.length) return;
  const more = element("button", { type: "button" }, `show ${members.length - until} more`);
  const item = element("li", {}, more);
  more.addEventListener("click", () => {
    item.remove();
    fill(inner, members, until, depth, { left: OPEN_NODES });
  });
  inner.append(item);
}

function leaf(value) {
  const kind = value === null ? "null" : typeof value;
  return element("span", { class: `mono ${kind}` }, JSON.stringify(value));
}
