// Form with the filters of deliveries. The URL has their values.

import { link, read, visit } from "./address.js";
import { element } from "./elements.js";

const form = document.getElementById("filters");
const more = document.getElementById("more-filters");
const TIMES = new Set(["since", "until"]);

export function start() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener("change", apply);
  document.getElementById("clear").addEventListener("click", () => visit("?"));
}

export function focus() {
  const { chat, endpoint } = form.elements;
  (more.open ? chat : endpoint).focus();
}

/** Shows the values of the URL. */
export function show(filters) {
  for (const field of fields()) {
    const value = filters[field.name] ?? "";
    const text = TIMES.has(field.name) && value !== "" ? local(value) : value;
    if (field.value !== text) field.value = text;
  }
  const hidden = [...more.querySelectorAll("[name]")].filter(({ name }) => filters[name] !== undefined);
  const set = hidden.map(({ name }) => `${name} ${filters[name]}`).join(", ");
  more.querySelector("summary").textContent = set === "" ? "more filters" : `more filters: ${set}`;
  if (set !== "") more.open = true;
}

/** Fills the suggestions with the names of endpoints and events. */
export function suggest({ byEvent, byEndpoint }) {
  fill("event-names", byEvent.map(({ event }) => event));
  fill("endpoint-names", byEndpoint.map(({ endpoint }) => endpoint));
}

function fill(id, names) {
  document.getElementById(id).replaceChildren(...names.map((name) => element("option", { value: name })));
}

function fields() {
  return [...form.elements].filter(({ name }) => name !== "");
}

function apply() {
  const filters = {};
  for (const { name, value } of fields()) {
    const text = value.trim();
    if (text !== "") filters[name] = TIMES.has(name) ? new Date(text).toISOString() : text;
  }
  const now = read();
  // A time of the URL may be more exact than its field, or relative.
  for (const name of TIMES) {
    const given = now.filters[name];
    if (given !== undefined && local(given) === form.elements[name].value) filters[name] = given;
  }
  const href = link("deliveries", filters, now.open);
  if (href !== link("deliveries", now.filters, now.open)) visit(href);
}

/** Returns a time in the form of the field: local, without zone. */
function local(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
