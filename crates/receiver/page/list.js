// List of deliveries: order, filters and selection.

import { element } from "./elements.js";
import { ask } from "./feed.js";
import { span, time } from "./formats.js";
import { MARKS, answer, title, verdict } from "./words.js";

const SEARCH_EVERY_MS = 150;

const list = document.getElementById("list");
const empty = document.getElementById("empty");
const count = document.getElementById("count");
const eventFilter = document.getElementById("event");
const textFilter = document.getElementById("text");

/** Deliveries by number, oldest first. The receiver limits them. */
let deliveries = new Map();
const rows = new Map();
const events = new Set();
/** Numbers of deliveries that contain the text; null without a text. */
let found = null;
let searching = null;
let selected = null;
let onSelect = () => {};

export function start(select) {
  onSelect = select;
  list.addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (row) choose(Number(row.dataset.number));
  });
  eventFilter.addEventListener("change", draw);
  textFilter.addEventListener("input", searchSoon);
}

export function selection() {
  return deliveries.get(selected);
}

export function forgetAll() {
  deliveries = new Map();
  select(null);
}

/** Adds new and changed deliveries, and removes those before `first`. */
export function put(changed, first) {
  for (const delivery of changed) {
    deliveries.set(delivery.number, delivery);
    if (delivery.event !== null && !events.has(delivery.event)) addEvent(delivery.event);
    rows.get(delivery.number)?.remove();
    rows.delete(delivery.number);
  }
  for (const number of deliveries.keys()) {
    if (number >= first) break;
    deliveries.delete(number);
  }
  if (selected !== null && !deliveries.has(selected)) select(null);
  else if (changed.some(({ number }) => number === selected)) onSelect(deliveries.get(selected));
  if (found !== null && changed.length > 0) searchSoon();
  draw();
}

/** Selects the next delivery below (1) or above (-1), or the first one. */
export function step(by) {
  const shown = [...list.children].map((row) => Number(row.dataset.number));
  if (shown.length === 0) return;
  const at = shown.indexOf(selected);
  const next = at < 0 && Number.isFinite(by) ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1);
  choose(shown[next]);
}

function choose(number) {
  select(number);
  rows.get(number)?.scrollIntoView({ block: "nearest" });
}

function select(number) {
  mark(selected, false);
  selected = number;
  mark(selected, true);
  if (number === null) list.removeAttribute("aria-activedescendant");
  else list.setAttribute("aria-activedescendant", `delivery-${number}`);
  onSelect(deliveries.get(number));
}

function mark(number, is) {
  rows.get(number)?.setAttribute("aria-selected", String(is));
}

function matches(delivery) {
  if (eventFilter.value !== "" && delivery.event !== eventFilter.value) return false;
  return found === null || found.has(delivery.number);
}

/** Draws the list, newest first. Rows that stay are moved as little as possible. */
function draw() {
  const shown = [...deliveries.values()].reverse().filter(matches);
  const numbers = new Set(shown.map(({ number }) => number));
  for (const [number, row] of rows) {
    if (numbers.has(number)) continue;
    row.remove();
    if (!deliveries.has(number)) rows.delete(number);
  }
  const top = list.scrollTop;
  const height = list.scrollHeight;
  let at = list.firstElementChild;
  for (const delivery of shown) {
    const row = rows.get(delivery.number) ?? makeRow(delivery);
    if (row === at) at = at.nextElementSibling;
    else list.insertBefore(row, at);
  }
  // Keep the position of a scrolled list.
  if (top > 0) list.scrollTop = top + list.scrollHeight - height;
  const all = deliveries.size;
  count.textContent = shown.length === all ? String(all) : `${shown.length} of ${all}`;
  empty.hidden = shown.length > 0;
  empty.textContent = all === 0 ? "Nothing here yet." : "None of them matches.";
}

function makeRow(delivery) {
  const [sign, quality, word] = MARKS[verdict(delivery.signatures)];
  const attempt = delivery.attempt === null ? "" : `attempt ${delivery.attempt}`;
  const gap = delivery.gap_ms === null ? "" : `+${span(delivery.gap_ms)}`;
  const failed = delivery.answer.status >= 300 || delivery.answer.state === "abandoned";
  const signed = element("span", { class: `marks ${quality}`, title: `signatures: ${word}` });
  signed.append(
    element("span", { "aria-hidden": "true" }, sign),
    element("span", { class: "unseen" }, `signatures ${word}`),
  );
  const row = element(
    "li",
    { role: "option", id: `delivery-${delivery.number}`, "aria-selected": String(delivery.number === selected) },
    element("span", { class: "event" }, title(delivery)),
    element("span", { class: failed ? "answer bad" : "answer" }, answer(delivery.answer)),
    signed,
    element("span", { class: "id mono" }, `${time(delivery.time_ms)} ${delivery.id ?? ""}`),
    element("span", { class: "gap" }, attempt),
    element("span", { class: "gap marks" }, gap),
  );
  row.dataset.number = delivery.number;
  rows.set(delivery.number, row);
  return row;
}

function addEvent(name) {
  events.add(name);
  const after = [...eventFilter.options].find(({ value }) => value > name);
  eventFilter.insertBefore(element("option", { value: name }, name), after ?? null);
}

/** Searches at the receiver, because the page has no bodies. */
function searchSoon() {
  if (searching !== null) return;
  searching = setTimeout(search, SEARCH_EVERY_MS);
}

async function search() {
  const text = textFilter.value;
  try {
    const answered = text === "" ? null : await ask("GET", `search?text=${encodeURIComponent(text)}`);
    found = answered === null ? null : new Set(answered.numbers);
  } catch {
    // The receiver is unavailable, as #connection shows; the last result stays.
  }
  searching = null;
  if (textFilter.value !== text) searchSoon();
  draw();
}
