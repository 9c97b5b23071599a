// Texts and elements of the page. Values are inserted as text only.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === "class") made.className = value;
    else made.setAttribute(attribute, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

export function time(ms) {
  const date = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function span(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

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
