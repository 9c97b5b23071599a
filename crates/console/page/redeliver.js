// Redelivery of one delivery, of the selected ones, and of all that match.

import { ask } from "./api.js";
import { confirm } from "./dialog.js";
import { element } from "./elements.js";
import * as jobs from "./jobs.js";
import { attempt } from "./notices.js";
import { idOf } from "./records.js";
import { count } from "./words.js";

const DAY_MS = 24 * 3_600_000;

/** Redelivers these after a confirmation; returns true if they are redelivered. */
export async function these(deliveries) {
  if (deliveries.length === 0) return false;
  const [only] = deliveries;
  const what = deliveries.length === 1 ? `${only.event} ${only.eventId} to ${only.endpoint}` : "The selected ones";
  const lines = [`${what} will be sent again, with the same id and marked as a redelivery.`];
  return confirmed(deliveries.length, lines, { ids: deliveries.map(idOf) });
}

/** Redelivers all that match, after a count. */
export async function matching(filters) {
  // Both ends are fixed, so that the redelivered ones are those that were counted.
  const { since, until } = range(filters, Date.now());
  const filter = { ...filters, since, until };
  const counted = await attempt("counting", () => ask("POST", "redeliveries", { filter, dryRun: true }));
  if (counted === undefined) return false;
  const others = Object.entries(filters).filter(([name]) => name !== "since" && name !== "until");
  const lines = [
    `Created from ${local(since)} to ${local(until)}.`,
    others.length === 0 ? "No other filter is set." : `With ${others.map(([name, value]) => `${name} ${value}`).join(", ")}.`,
    "They will be sent again, with the same ids and marked as redeliveries.",
  ];
  return confirmed(counted.count, lines, { filter });
}

/** Returns the time range of the filters; by default the last 24 hours. Relative times stay. */
function range({ since, until }, now) {
  const end = until ?? new Date(now).toISOString();
  const start = Number.isNaN(Date.parse(end)) ? now : Date.parse(end);
  return { since: since ?? new Date(start - DAY_MS).toISOString(), until: end };
}

function local(time) {
  return Number.isNaN(Date.parse(time)) ? `${time} ago` : new Date(time).toLocaleString();
}

async function confirmed(number, lines, request) {
  const chosen = await confirm({
    title: `Redeliver ${count(number, "delivery", "deliveries")}?`,
    lines,
    action: `Redeliver ${number.toLocaleString("en")}`,
    fields: [
      { label: "to the endpoint", input: element("input", { name: "endpoint", list: "endpoint-names", placeholder: "the same", autocomplete: "off" }) },
      { label: "at most per second", input: element("input", { name: "rate", type: "number", min: "1", inputmode: "numeric" }) },
    ],
  });
  if (chosen === null) return false;
  const body = { ...request };
  if (chosen.endpoint !== "") body.endpoint = chosen.endpoint;
  if (chosen.rate !== "") body.rate = Number(chosen.rate);
  return jobs.begin("the redelivery", "redeliveries", body);
}
