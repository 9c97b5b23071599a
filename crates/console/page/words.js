// Texts of the console.

import { element } from "./elements.js";
import { span } from "./formats.js";

/** Sign, class and word of each status. */
const STATUSES = {
  success: ["✓", "good", "success"],
  failed: ["✗", "bad", "failed"],
  retrying: ["↻", "unsure", "retrying"],
};

/** Returns the status as text and colour. */
export function status({ status, statusCode }) {
  const [sign, quality, word] = STATUSES[status] ?? ["?", "unsure", status];
  const code = statusCode === null ? "" : ` ${statusCode}`;
  return element("span", { class: `status ${quality}` }, element("span", { "aria-hidden": "true" }, `${sign} `), word, code);
}

/** Returns a date and time in the local zone, as an element with the exact time. */
export function moment(iso) {
  const date = new Date(iso);
  const text = date.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
  return element("time", { datetime: iso, title: iso }, text);
}

export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** Formats a share (0 to 1) so that it shows 100 % only if it is all. */
export function percent(share) {
  if (share === null) return "–";
  const rounded = share < 1 ? Math.min(Math.round(share * 1000) / 10, 99.9) : 100;
  return `${rounded} %`;
}

export function milliseconds(ms) {
  return ms === null ? "–" : span(Math.round(ms));
}
