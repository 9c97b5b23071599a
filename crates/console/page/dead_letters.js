// View of dead letters: groups by reason, redrive and discard.

import { link, read, visit } from "./address.js";
import { ask, query } from "./api.js";
import { confirm } from "./dialog.js";
import { button, element } from "./elements.js";
import * as jobs from "./jobs.js";
import { attempt } from "./notices.js";
import { idOf, pathOf } from "./records.js";
import { count, moment } from "./words.js";

const PAGE = 50;
const RISK = "Discarded events cannot be brought back.";

const field = (id) => document.getElementById(id);
const list = field("dead-letters");
const form = field("dead-filters");

let filters = {};
let letters = [];
let next = null;
let search = 0;
let isActive = false;
const checked = new Set();

export function start() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener("change", apply);
  field("dead-more").addEventListener("click", () => load(next));
  field("dead-check-all").addEventListener("change", ({ target }) => {
    checked.clear();
    if (target.checked) letters.filter(({ eventId, endpoint }) => eventId && endpoint).forEach((letter) => checked.add(idOf(letter)));
    draw();
  });
  field("redrive-selected").addEventListener("click", () => these("redrive"));
  field("discard-selected").addEventListener("click", () => these("discard"));
  field("redrive-all").addEventListener("click", () => matching("redrive"));
  field("discard-all").addEventListener("click", () => matching("discard"));
}

export function show(wanted) {
  isActive = true;
  filters = wanted;
  checked.clear();
  for (const name of ["endpoint", "event"]) form.elements[name].value = filters[name] ?? "";
  load(null);
}

export function leave() {
  isActive = false;
}

export function refresh() {
  if (isActive) load(null);
}

async function load(cursor) {
  search += 1;
  const at = search;
  try {
    const answer = await ask("GET", `dead-letters${query({ ...filters, limit: PAGE, cursor })}`);
    if (at !== search) return;
    letters = cursor === null ? answer.deadLetters : [...letters, ...answer.deadLetters];
    next = answer.next;
    field("dead-count").textContent = `${answer.total.toLocaleString("en")}${answer.complete === false ? "+" : ""}`;
    drawGroups(answer.groups);
    field("dead-empty").textContent = "No dead letter matches.";
    draw();
  } catch (error) {
    field("dead-empty").textContent = error.message;
    field("dead-empty").hidden = false;
  }
}

function drawGroups(groups) {
  const all = groups.map(({ reason, count: number }) => {
    const isChosen = filters.reason === reason;
    const { reason: _, ...others } = filters;
    const target = isChosen ? others : { ...filters, reason };
    return button({ "aria-pressed": String(isChosen) }, `${reason} (${number})`, () => visit(link("dead-letters", target)));
  });
  field("groups").replaceChildren(...all);
}

function draw() {
  list.replaceChildren(...letters.map(item));
  field("dead-empty").hidden = letters.length > 0;
  field("dead-more").hidden = next === null;
  showChecked();
}

/** Draws a dead letter. All but its reason may be unknown. */
function item(letter) {
  const { eventId, endpoint, event, reason, deadAt, attempts } = letter;
  const isKnown = eventId !== null && endpoint !== null;
  const id = idOf(letter);
  const box = element("input", { type: "checkbox", class: "acts", "aria-label": `select ${eventId} to ${endpoint}` });
  box.checked = checked.has(id);
  box.disabled = !isKnown;
  box.addEventListener("change", () => {
    if (box.checked) checked.add(id);
    else checked.delete(id);
    showChecked();
  });
  const title = `${event ?? "unknown event"} to ${endpoint ?? "an unknown endpoint"}`;
  const open = isKnown ? element("a", { href: link("deliveries", { eventId }, pathOf(letter)) }, title) : title;
  const history = [];
  if (attempts !== null) history.push(`after ${count(attempts, "attempt")}`);
  if (deadAt !== null) history.push(" dead since ", moment(deadAt));
  const text = element(
    "span",
    {},
    open,
    " ",
    element("span", { class: "id mono" }, eventId ?? ""),
    element("br"),
    element("span", { class: "bad" }, reason),
    " ",
    element("span", { class: "faint" }, ...history),
  );
  return element("li", {}, box, text);
}

function showChecked() {
  for (const verb of ["redrive", "discard"]) {
    const act = field(`${verb}-selected`);
    const name = verb === "redrive" ? "Redrive selected" : "Discard selected";
    act.disabled = checked.size === 0;
    act.textContent = checked.size === 0 ? name : `${name} (${checked.size})`;
  }
}

function apply() {
  const wanted = { ...read().filters };
  for (const name of ["endpoint", "event"]) {
    delete wanted[name];
    const value = form.elements[name].value.trim();
    if (value !== "") wanted[name] = value;
  }
  const href = link("dead-letters", wanted);
  if (href !== link("dead-letters", read().filters)) visit(href);
}

function these(verb) {
  return confirmed(verb, checked.size, { ids: [...checked] });
}

async function matching(verb) {
  const filter = { ...filters };
  const counted = await attempt("counting", () => ask("POST", `dead-letters/${verb}`, { filter, dryRun: true }));
  if (counted === undefined) return;
  // Not those that die while the dialog is open.
  await confirmed(verb, counted.count, { filter: { ...filter, until: counted.until } });
}

async function confirmed(verb, number, body) {
  const isRisky = verb === "discard";
  const name = isRisky ? "Discard" : "Redrive";
  const chosen = await confirm({
    title: `${name} ${count(number, "dead letter")}?`,
    lines: [isRisky ? RISK : "They go back to the queues of their endpoints, with new attempts."],
    action: `${name} ${number.toLocaleString("en")}`,
    isRisky,
  });
  if (chosen === null) return;
  if (await jobs.begin(`the ${verb}`, `dead-letters/${verb}`, body)) {
    checked.clear();
    field("dead-check-all").checked = false;
    refresh();
  }
}
