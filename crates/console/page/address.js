// State of the page in its URL: the view, its filters and the open delivery.

/** Names of the filters of deliveries, in the URL and in the API. */
export const FILTERS = [
  "status",
  "event",
  "endpoint",
  "source",
  "session",
  "chat",
  "messageId",
  "eventId",
  "statusCode",
  "error",
  "since",
  "until",
];
const DEAD_FILTERS = ["endpoint", "event", "reason"];
export const VIEWS = ["deliveries", "endpoints", "dead-letters"];

let onChange = () => {};

export function start(changed) {
  onChange = changed;
  addEventListener("popstate", changed);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?'], a[href^='#']");
    if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    visit(link.getAttribute("href"));
  });
}

/** Goes to a query, a hash or both. */
export function visit(href) {
  history.pushState(null, "", href === "?" ? location.pathname : href);
  onChange();
}

/** Returns `{ view, filters, open }`; `open` is the path of a delivery, or null. */
export function read() {
  const query = new URLSearchParams(location.search);
  const view = VIEWS.includes(query.get("view")) ? query.get("view") : "deliveries";
  const names = view === "dead-letters" ? DEAD_FILTERS : FILTERS;
  const filters = {};
  for (const name of names) {
    if (query.get(name)) filters[name] = query.get(name);
  }
  const [, open = null] = /^#delivery=([^/]+\/[^/]+)$/.exec(location.hash) ?? [];
  return { view, filters, open };
}

/** Returns a link to a view. */
export function link(view, filters, open = null) {
  const given = view === "deliveries" ? filters : { view, ...filters };
  return `?${new URLSearchParams(given)}${open === null ? "" : `#delivery=${open}`}`;
}

/** Opens a delivery without a new entry in the history. */
export function replaceOpen(open) {
  history.replaceState(null, "", `${location.search || location.pathname}#delivery=${open}`);
  onChange();
}
