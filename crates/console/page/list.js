// Rows of the list of deliveries: drawing, selection and the open one.

import { replaceOpen } from "./address.js";
import { element } from "./elements.js";
import { pathOf } from "./records.js";
import { count, moment, status } from "./words.js";

const list = document.getElementById("list");
const checkAll = document.getElementById("check-all");
const redeliver = document.getElementById("redeliver-selected");

/** Rows by path, with the delivery that each shows. */
const rows = new Map();
/** Selected deliveries by path. They stay selected when they leave the list. */
const checked = new Map();
let opened = null;
let onOpenChanged = () => {};

/** Calls `openChanged` when the open delivery has a new state. */
export function start(openChanged) {
  onOpenChanged = openChanged;
  list.addEventListener("change", ({ target }) => check(target.closest("li").dataset.path, target.checked));
  checkAll.addEventListener("change", () => {
    for (const path of rows.keys()) check(path, checkAll.checked);
  });
}

/** Draws the deliveries in this order. Rows that stay are moved as little as possible. */
export function draw(deliveries) {
  const top = list.scrollTop;
  const height = list.scrollHeight;
  const shown = new Set(deliveries.map(pathOf));
  for (const [path, { row }] of rows) {
    if (shown.has(path)) continue;
    row.remove();
    rows.delete(path);
  }
  let at = list.firstElementChild;
  for (const delivery of deliveries) at = place(delivery, at);
  // Keep the position of a scrolled list.
  if (top > 0) list.scrollTop = top + list.scrollHeight - height;
}

/** Puts the row of a delivery before the row `at`, and returns the row after it. */
function place(delivery, at) {
  const before = rows.get(pathOf(delivery))?.row;
  const row = rowOf(delivery);
  if (row === at) return at.nextElementSibling;
  const next = before === at ? at.nextElementSibling : at;
  const hadFocus = before?.contains(document.activeElement);
  if (before !== row) before?.remove();
  list.insertBefore(row, next);
  if (hadFocus) row.querySelector("a").focus({ preventScroll: true });
  return next;
}

/** Marks the open delivery. */
export function markOpen(path) {
  linkOf(opened)?.removeAttribute("aria-current");
  opened = path;
  linkOf(opened)?.setAttribute("aria-current", "true");
}

/** Opens the next delivery below (1) or above (-1), or the first one. */
export function step(by) {
  const shown = [...list.children].map((row) => row.dataset.path);
  if (shown.length === 0) return;
  const at = shown.indexOf(opened);
  const next = at < 0 && Number.isFinite(by) ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1);
  replaceOpen(shown[next]);
  linkOf(shown[next]).focus({ preventScroll: true });
  rows.get(shown[next]).row.scrollIntoView({ block: "nearest" });
}

/** Selects the open delivery, or ends its selection. */
export function toggle() {
  if (rows.has(opened)) check(opened, !checked.has(opened));
}

export function selection() {
  return [...checked.values()];
}

export function uncheckAll() {
  for (const path of [...checked.keys()]) check(path, false);
  checkAll.checked = false;
}

function check(path, is) {
  const shown = rows.get(path);
  if (shown) shown.row.querySelector("input").checked = is;
  if (is && shown) checked.set(path, shown.delivery);
  else checked.delete(path);
  redeliver.disabled = checked.size === 0;
  redeliver.textContent = checked.size === 0 ? "Redeliver selected" : `Redeliver selected (${checked.size})`;
}

function linkOf(path) {
  return rows.get(path)?.row.querySelector("a");
}

/** Returns the row of a delivery; a changed delivery gets a new row. */
function rowOf(delivery) {
  const path = pathOf(delivery);
  const present = rows.get(path);
  const state = JSON.stringify(delivery);
  if (present?.state === state) return present.row;
  if (present !== undefined && path === opened) onOpenChanged();
  const row = makeRow(path, delivery);
  rows.set(path, { row, state, delivery });
  return row;
}

function makeRow(path, delivery) {
  const { eventId, endpoint, event } = delivery;
  const box = element("input", { type: "checkbox", class: "acts", "aria-label": `select ${eventId} to ${endpoint}` });
  box.checked = checked.has(path);
  const attempts = delivery.attemptCount > 1 ? count(delivery.attemptCount, "attempt") : "";
  const link = element(
    "a",
    { href: `#delivery=${path}` },
    element("span", { class: "event" }, event),
    " ",
    element("span", { class: "endpoint" }, endpoint),
    " ",
    status(delivery),
    " ",
    element("span", { class: "id mono" }, eventId),
    " ",
    element("span", { class: "gap" }, attempts),
    " ",
    element("span", { class: "when" }, moment(delivery.createdAt)),
  );
  if (path === opened) link.setAttribute("aria-current", "true");
  const row = element("li", {}, box, link);
  row.dataset.path = path;
  return row;
}
