// Details of the selected delivery.

import { ask } from "./feed.js";
import { tree } from "./tree.js";
import { MARKS, answer, element, size, span, title } from "./words.js";

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
  if (curl !== null) await copy(curl, "the curl command");
}

function draw(detail) {
  curl = detail.curl;
  heading.textContent = `${title(detail)} · number ${detail.number}`;
  shown.replaceChildren(
    facts(detail),
    buttons(detail),
    element("h3", {}, "Signatures"),
    signatures(detail.signatures),
    element("h3", {}, "Body"),
    body(detail),
    element("h3", {}, "Headers"),
    headers(detail.headers),
  );
}

function facts(detail) {
  const list = element("dl");
  const fact = (name, value) => {
    if (value !== null) list.append(element("dt", {}, name), element("dd", {}, value));
  };
  fact("time", new Date(detail.time_ms).toISOString());
  fact("request", `${detail.method} ${detail.target}`);
  fact("id", detail.id);
  fact("attempt", detail.attempt);
  fact("since the last request with this id", detail.gap_ms === null ? null : span(detail.gap_ms));
  fact("answer", answer(detail.answer));
  return list;
}

function buttons(detail) {
  const copying = (id, name, text) => {
    const button = element("button", { type: "button", id }, name);
    button.addEventListener("click", () => copy(text, name.replace("Copy ", "the ")));
    return button;
  };
  const download = element("a", { href: `/_receiver/api/deliveries/${detail.number}/body`, download: "" }, "download the body");
  const all = [copying("copy-curl", "Copy as curl", detail.curl)];
  if (detail.body.text !== null && detail.body.not_utf8_at === null) {
    all.push(copying("copy-body", "Copy body", detail.body.text));
  }
  const status = element("span", { id: "copied", role: "status", class: "faint" });
  return element("div", { class: "controls" }, ...all, download, status);
}

async function copy(text, what) {
  const status = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = `copied ${what.replace("the as", "as")}`;
  } catch {
    // Browsers have no clipboard for pages that are not on loopback.
    const field = element("textarea", { readonly: "", "aria-label": "copy from here" });
    field.value = text;
    status.replaceChildren("press Ctrl-C: ", field);
    field.select();
  }
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

function headers(pairs) {
  const rows = pairs.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row", class: "mono" }, name), element("td", { class: "mono" }, value)),
  );
  return element("table", { id: "headers" }, element("tbody", {}, ...rows));
}
