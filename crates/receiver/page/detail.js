// Details of the selected delivery.

import { copy } from "./copying.js";
import { button, element, facts, pairTable } from "./elements.js";
import { ask } from "./feed.js";
import { size, span } from "./formats.js";
import { tree } from "./tree.js";
import { MARKS, answer, title } from "./words.js";

const heading = document.getElementById("detail-title");
const shown = document.getElementById("shown");

/** Number and answer state of the delivery that is drawn. */
let drawn = "";
let curl = null;

export async function show(delivery) {
  const wanted = delivery === undefined ? "" : `${delivery.number} ${delivery.answer.state}`;
  if (wanted === drawn) return;
  drawn = wanted;
  curl = null;
  if (delivery === undefined) {
    heading.textContent = "Nothing selected";
    shown.replaceChildren();
    return;
  }
  try {
    const detail = await ask("GET", `deliveries/${delivery.number}`);
    // Another delivery may have been selected meanwhile.
    if (drawn === wanted) draw(detail);
  } catch (error) {
    if (drawn !== wanted) return;
    heading.textContent = title(delivery);
    shown.replaceChildren(element("p", { class: "bad" }, error.message));
    drawn = "";
  }
}

/** Copies to the clipboard, or shows a field to copy from if there is none. */
export async function copyCurl() {
  if (curl !== null) await copy(curl, "the curl command", document.getElementById("copied"));
}

function draw(detail) {
  curl = detail.curl;
  heading.textContent = `${title(detail)} · number ${detail.number}`;
  shown.replaceChildren(
    summary(detail),
    buttons(detail),
    element("h3", {}, "Signatures"),
    signatures(detail.signatures),
    element("h3", {}, "Body"),
    body(detail),
    element("h3", {}, "Headers"),
    pairTable("headers", detail.headers),
  );
}

function summary(detail) {
  return facts([
    ["time", new Date(detail.time_ms).toISOString()],
    ["request", `${detail.method} ${detail.target}`],
    ["id", detail.id],
    ["attempt", detail.attempt],
    ["since the last request with this id", detail.gap_ms === null ? null : span(detail.gap_ms)],
    ["answer", answer(detail.answer)],
  ]);
}

function buttons(detail) {
  const status = element("span", { id: "copied", role: "status", class: "faint" });
  const copying = (id, name, what, text) => button({ id }, name, () => copy(text, what, status));
  const download = element("a", { href: `/_receiver/api/deliveries/${detail.number}/body`, download: "" }, "download the body");
  const all = [copying("copy-curl", "Copy as curl", "the curl command", detail.curl)];
  if (detail.body.text !== null && detail.body.not_utf8_at === null) {
    all.push(copying("copy-body", "Copy body", "the body", detail.body.text));
  }
  return element("div", { class: "controls" }, ...all, download, status);
}

function signatures({ body, standard }) {
  const one = (name, { state, code, reason }) => {
    const [sign, quality, word] = MARKS[state];
    const text = reason === "" ? word : `${word}: ${reason}`;
    const value = element("dd", { class: quality, "data-code": code }, `${sign} ${text}`);
    return [element("dt", { class: "mono" }, name), value];
  };
  return element("dl", { id: "signatures" }, ...one("X-Webhook-Signature", body), ...one("webhook-signature", standard));
}

function body(detail) {
  const { text, not_utf8_at, cut } = detail.body;
  const parts = element("div", { id: "body" });
  const note = (message, quality = "faint") => parts.append(element("p", { class: quality }, message));
  if (cut !== null) note(cut, "bad");
  else note(size(detail.body_bytes));
  if (not_utf8_at !== null) {
    note(`not UTF-8 from byte ${not_utf8_at} on: invalid bytes are shown as \ufffd`, "bad");
  }
  if (text === null) note("too large to be shown here; download it");
  if (text === null || text === "") return parts;
  const raw = element("details", { id: "raw" }, element("summary", {}, "raw"), element("pre", { tabindex: "0" }, text));
  const parsed = parse(text);
  if (parsed === undefined) {
    note("not JSON");
    raw.open = true;
  } else {
    parts.append(tree(parsed));
  }
  parts.append(raw);
  return parts;
}

/** Returns undefined if the text is not JSON. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
