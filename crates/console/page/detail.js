// Details of the open delivery.

import { ask } from "./api.js";
import { attempts } from "./attempts.js";
import { copy } from "./copying.js";
import { button, element, facts, pairTable } from "./elements.js";
import { payload } from "./payload.js";
import { moment, status } from "./words.js";

const section = document.getElementById("detail");
const heading = document.getElementById("detail-title");
const shown = document.getElementById("shown");

let wanted = null;
/** The delivery that is drawn, and its JSON. */
let drawn = null;
let state = "";
let onRedeliver = () => {};

export function start(redeliver) {
  onRedeliver = redeliver;
}

/** Shows the delivery with this path, or none. */
export async function show(path) {
  if (path === wanted) return;
  wanted = path;
  drawn = null;
  state = "";
  if (path === null) {
    heading.textContent = "Nothing selected";
    shown.replaceChildren();
  } else {
    await load(path);
  }
}

/** Loads the open delivery again, and draws it if it has changed. */
export async function refresh() {
  if (wanted !== null) await load(wanted);
}

export function current() {
  return drawn;
}

/** Moves the focus to the detail if it is below the list. */
export function focusIfBelow() {
  if (!matchMedia("(max-width: 52rem)").matches) return;
  section.focus({ preventScroll: true });
  section.scrollIntoView();
}

export async function copyCurl() {
  if (drawn !== null) await copy(drawn.curl, "the curl command", document.getElementById("copied"));
}

async function load(path) {
  try {
    const detail = await ask("GET", `deliveries/${path}`);
    // Another delivery may have been opened meanwhile.
    if (wanted !== path || state === JSON.stringify(detail)) return;
    state = JSON.stringify(detail);
    drawn = detail;
    draw(detail);
  } catch (error) {
    if (wanted !== path) return;
    heading.textContent = path.split("/").map(decoded).join(" to ");
    shown.replaceChildren(element("p", { class: "bad" }, error.message));
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function draw(detail) {
  heading.textContent = `${detail.event} to ${detail.endpoint}`;
  shown.replaceChildren(
    summary(detail),
    buttons(detail),
    element("h3", {}, "Attempts"),
    attempts(detail),
    element("h3", {}, "Payload"),
    payload(detail),
    element("h3", {}, "Headers"),
    pairTable("headers", Object.entries(detail.headers ?? {})),
  );
}

function summary(detail) {
  const time = (iso) => (iso ? moment(iso) : null);
  return facts([
    ["status", status(detail)],
    ["error", detail.errorMessage],
    ["event id", detail.eventId],
    ["webhook", detail.webhookUrl],
    ["source", detail.source],
    ["session", detail.session],
    ["chat", detail.chat],
    ["message id", detail.messageId],
    ["created", time(detail.createdAt)],
    ["completed", time(detail.completedAt)],
    ["next attempt", time(detail.nextAttemptAt)],
  ]);
}

function buttons(detail) {
  const copied = element("span", { id: "copied", role: "status", class: "faint" });
  const redeliver = button({ id: "redeliver", class: "acts" }, "Redeliver…", () => onRedeliver([detail]));
  const all = [redeliver, button({ id: "copy-curl" }, "Copy as curl", copyCurl)];
  if (!detail.payloadHidden) {
    const text = JSON.stringify(detail.payload, null, 2);
    all.push(button({ id: "copy-payload" }, "Copy payload", () => copy(text, "the payload", copied)));
  }
  return element("div", { class: "controls" }, ...all, copied);
}
