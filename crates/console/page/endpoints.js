// View of endpoints: state, figures and actions.

import { link } from "./address.js";
import { ask } from "./api.js";
import { sparkline } from "./chart.js";
import { confirm } from "./dialog.js";
import { button, element, facts } from "./elements.js";
import { span } from "./formats.js";
import * as held from "./held.js";
import { attempt, say } from "./notices.js";
import { milliseconds, moment, percent } from "./words.js";

const REFRESH_MS = 10_000;
/** Age up to which the hourly figures are shown. */
const HOURS_MS = 60_000;

const list = document.getElementById("endpoints");
const empty = document.getElementById("endpoints-empty");

let isActive = false;
/** Hourly figures of each endpoint, by its name, and the time at which they were read. */
let hours = new Map();
let hoursRead = 0;

export function start() {
  setInterval(() => {
    if (isActive && !document.hidden) refresh();
  }, REFRESH_MS);
}

export function show() {
  isActive = true;
  refresh();
}

export function leave() {
  isActive = false;
}

async function refresh() {
  try {
    const { endpoints } = await ask("GET", "endpoints");
    if (Date.now() - hoursRead > HOURS_MS) await readHours();
    await held.read(endpoints);
    draw(endpoints);
  } catch (error) {
    empty.textContent = error.message;
    empty.hidden = false;
  }
}

async function readHours() {
  const stats = await ask("GET", "stats").catch(() => ({ byEndpoint: [] }));
  hours = new Map(stats.byEndpoint.map((figures) => [figures.endpoint, figures.hours ?? null]));
  hoursRead = Date.now();
}

/** Draws all again; the focus stays on the same button. */
function draw(endpoints) {
  const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
  list.replaceChildren(...endpoints.map((endpoint) => card(endpoint)));
  if (focused !== "") document.getElementById(focused)?.focus();
  empty.textContent = "No endpoint is known yet.";
  empty.hidden = endpoints.length > 0;
}

function card(endpoint) {
  const { name } = endpoint;
  const failed = link("deliveries", { endpoint: name, status: "failed" });
  const parts = [
    element("h3", {}, name),
    state(endpoint.paused),
    figures(endpoint),
    element("p", {}, element("a", { href: link("deliveries", { endpoint: name }) }, "deliveries"), " · ", element("a", { href: failed }, "failed ones")),
    held.list(name),
    buttons(endpoint),
  ].filter((part) => part !== null);
  const hourly = hours.get(name) ?? null;
  if (hourly !== null) parts.splice(2, 0, sparkline(hourly, name));
  const made = element("li", { class: "card" }, ...parts);
  made.dataset.endpoint = name;
  return made;
}

function state(paused) {
  if (paused === null) return element("p", { class: "good" }, "● active");
  const by = paused.by === "operator" ? "paused by an operator" : "paused after failures";
  const parts = [`‖ ${by}`];
  if (paused.since) parts.push(" since ", moment(paused.since));
  if (paused.consumers > 1) parts.push(` by ${paused.consumers} consumers`);
  if (paused.nextProbeAt) parts.push(", next probe ", moment(paused.nextProbeAt));
  if (paused.reason) parts.push(`: ${paused.reason}`);
  return element("p", { class: "bad" }, ...parts);
}

function figures({ webhookUrl, success, failed, retrying, successRate, p50Ms, p95Ms, queued, oldestWaitSeconds }) {
  return facts([
    ["webhook", webhookUrl],
    ["success rate", `${percent(successRate)} of ${(success + failed).toLocaleString("en")}`],
    ["failed, retrying", `${failed}, ${retrying}`],
    ["duration p50, p95", `${milliseconds(p50Ms)}, ${milliseconds(p95Ms)}`],
    ["queued", queued === null ? null : queued.toLocaleString("en")],
    ["oldest wait", oldestWaitSeconds === null ? null : span(Math.round(oldestWaitSeconds * 1000))],
  ]);
}

function buttons({ name, paused }) {
  const id = (verb) => `${verb}-${name}`;
  const labelled = (verb, text, act) => button({ id: id(verb), "aria-label": `${text} ${name}` }, text, act);
  const all = [];
  if (paused?.by !== "operator") all.push(labelled("pause", "Pause…", () => pause(name)));
  if (paused?.by === "operator") all.push(labelled("resume", "Resume", () => act(name, "resume", {})));
  // The last pause by the circuit breaker may not be reported yet.
  if (paused?.by !== "operator") all.push(labelled("probe", "Probe", () => act(name, "probe", {})));
  all.push(labelled("test", "Send a test event", () => sendTest(name)));
  return element("div", { class: "controls acts" }, ...all);
}

async function pause(name) {
  const chosen = await confirm({
    title: `Pause ${name}?`,
    lines: ["Its events wait in the queue until it is resumed."],
    action: "Pause",
    fields: [{ label: "reason", input: element("input", { name: "reason", maxlength: "200", autocomplete: "off" }) }],
  });
  if (chosen === null) return;
  await act(name, "pause", chosen.reason === "" ? {} : { reason: chosen.reason });
}

async function act(name, verb, body) {
  const done = await attempt(`${verb} of ${name}`, async () => {
    await ask("POST", `endpoints/${encodeURIComponent(name)}/${verb}`, body);
    return true;
  });
  if (done) say(`${verb} of ${name}: done`);
  await refresh();
}

async function sendTest(name) {
  const sent = await attempt("the test event", () => ask("POST", "test-event", { endpoint: name }));
  if (sent !== undefined) say(`test event ${sent?.eventId ?? ""} is on its way`);
}
