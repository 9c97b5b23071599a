// Texts of the receiver's page.

import { span } from "./formats.js";

/** Formats an answer, or a rule for answers. */
export function answer({ status, retry_after_s, delay_ms, state }) {
  let text = String(status);
  if (retry_after_s !== null) text += `, Retry-After ${retry_after_s} s`;
  if (delay_ms > 0) text += ` after ${span(delay_ms)}`;
  if (state === "waiting") text += " (waiting)";
  if (state === "abandoned") text += " (the sender disconnected)";
  return text;
}

/** Mark, its class, and its word for screen readers. */
export const MARKS = {
  valid: ["✓", "good", "valid"],
  invalid: ["✗", "bad", "not valid"],
  unknown: ["?", "unsure", "not checked"],
};

/** Returns the common state of both signatures. */
export function verdict({ body, standard }) {
  const states = [body.state, standard.state];
  if (states.includes("invalid")) return "invalid";
  return states.includes("unknown") ? "unknown" : "valid";
}

export function title(delivery) {
  return delivery.event ?? `${delivery.method} ${delivery.target}`;
}
