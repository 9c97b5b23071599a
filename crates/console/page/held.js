// Events that hold the later ones of their key, at endpoints with an order.

import { link } from "./address.js";
import { ask, query } from "./api.js";
import { confirm } from "./dialog.js";
import { button, element } from "./elements.js";
import * as jobs from "./jobs.js";
import { pathOf } from "./records.js";
import { count, moment } from "./words.js";

/** Events shown of each endpoint. */
const SHOWN = 10;

/** Deliveries that wait for a retry, by their endpoint. */
let held = new Map();

/** Reads the held events of these endpoints. */
export async function read(endpoints) {
  const names = endpoints.filter(({ ordered }) => ordered).map(({ name }) => name);
  const read = new Map();
  // One after another: the console permits few searches at a time.
  for (const name of names) {
    const wanted = query({ status: "retrying", endpoint: name, limit: SHOWN + 1 });
    const answer = await ask("GET", `deliveries${wanted}`).catch(() => null);
    read.set(name, answer?.deliveries ?? held.get(name) ?? []);
  }
  held = read;
}

/** Returns the list of an endpoint; null without a held event. */
export function list(name) {
  const deliveries = held.get(name) ?? [];
  if (deliveries.length === 0) return null;
  const rows = deliveries.slice(0, SHOWN).map(row);
  if (deliveries.length > SHOWN) {
    const all = link("deliveries", { endpoint: name, status: "retrying" });
    rows.push(element("li", {}, element("a", { href: all }, "all that are retried")));
  }
  return element("div", { class: "held" }, element("h4", {}, "Held keys"), element("ul", {}, ...rows));
}

function row(delivery) {
  const { event, eventId, chat, attemptCount, nextAttemptAt } = delivery;
  const path = pathOf(delivery);
  const open = `${link("deliveries", { status: "retrying" })}#delivery=${path}`;
  const parts = [element("a", { href: open }, `${event} ${eventId}`), `, ${count(attemptCount, "attempt")}`];
  if (chat) parts.push(`, chat ${chat}`);
  if (nextAttemptAt) parts.push(", next ", moment(nextAttemptAt));
  const label = `Give up ${eventId}`;
  parts.push(" ", button({ class: "acts", id: `give-up-${path}`, "aria-label": label }, "Give up…", () => giveUp(delivery)));
  return element("li", {}, ...parts);
}

async function giveUp(delivery) {
  const { event, eventId, endpoint } = delivery;
  const chosen = await confirm({
    title: `Give up ${event}?`,
    lines: [`${eventId} becomes a dead letter of ${endpoint}, and the next event of its key is delivered.`],
    action: "Give up",
    isRisky: true,
  });
  if (chosen !== null) await jobs.begin("the give-up", `deliveries/${pathOf(delivery)}/give-up`, {});
}
