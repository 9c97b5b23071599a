// Payload of a delivery as a tree, with a search.

import { element } from "./elements.js";
import { search, tree } from "./tree.js";
import { count } from "./words.js";

const SEARCH_AFTER_MS = 150;

export function payload({ payload: value, payloadHidden, payloadAltered, attempts }) {
  const parts = element("div", { id: "payload" });
  if (attempts.some(({ otherEvent }) => otherEvent)) {
    parts.append(element("p", { class: "unsure" }, "Another event used the same id. The log has the payload of the first one only; attempts of the other are marked."));
  }
  if (payloadHidden) {
    parts.append(element("p", { class: "faint" }, "Payloads are hidden (CONSOLE_PAYLOADS=off)."));
    return parts;
  }
  if (payloadAltered) {
    const reasons = [payloadAltered].flat().join("; ");
    parts.append(element("p", { class: "unsure" }, `The log's copy differs from what was sent: ${reasons}`));
  }
  const field = element("input", { id: "search", type: "search", autocomplete: "off", spellcheck: "false" });
  const found = element("span", { id: "found", role: "status", class: "faint" });
  const drawn = element("div", {}, tree(value));
  const raw = element("details", { id: "raw" }, element("summary", {}, "raw"), element("pre", { tabindex: "0" }, JSON.stringify(value, null, 2)));
  let timer = null;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => draw(value, field.value.trim(), drawn, found), SEARCH_AFTER_MS);
  });
  parts.append(element("div", { class: "controls" }, element("label", {}, "search ", field), found), drawn, raw);
  return parts;
}

function draw(value, text, drawn, found) {
  const result = text === "" ? null : search(value, text);
  found.textContent = result === null ? "" : count(result.count, "match", "matches");
  drawn.replaceChildren(result === null || result.count === 0 ? tree(value) : tree(value, result.filter));
}
