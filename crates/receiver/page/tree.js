// JSON value as a tree of folds. Closed folds are not drawn, so large values stay fast.

import { element } from "./words.js";

/** Members drawn at once. */
const AT_ONCE = 200;

export function tree(value) {
  return element("ul", { class: "tree" }, node(null, value, true));
}

function node(key, value, open) {
  const label = key === null ? [] : [element("span", { class: "key mono" }, key), ": "];
  if (value === null || typeof value !== "object") {
    return element("li", {}, ...label, leaf(value));
  }
  const members = Array.isArray(value) ? value.map((item, at) => [at, item]) : Object.entries(value);
  const kind = Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`;
  const inner = element("ul");
  const details = element("details", {}, element("summary", {}, ...label, element("span", { class: "kind" }, kind)), inner);
  details.addEventListener("toggle", () => {
    if (details.open && inner.childElementCount === 0) fill(inner, members, 0);
  });
  details.open = open || members.length <= 8;
  // The toggle event comes later; open folds are filled at once.
  if (details.open) fill(inner, members, 0);
  return element("li", {}, details);
}

function fill(inner, members, from) {
  const until = Math.min(from + AT_ONCE, members.length);
  inner.append(...members.slice(from, until).map(([key, value]) => node(key, value, false)));
  if (until === members.length) return;
  const more = element("button", { type: "button" }, `show ${members.length - until} more`);
  const item = element("li", {}, more);
  more.addEventListener("click", () => {
    item.remove();
    fill(inner, members, until);
  });
  inner.append(item);
}

function leaf(value) {
  const kind = value === null ? "null" : typeof value;
  return element("span", { class: `mono ${kind}` }, JSON.stringify(value));
}
