// Order and filters of the listed deliveries (no DOM).

/** Returns the path of a delivery in the API and in the URL's hash. */
export function pathOf({ eventId, endpoint }) {
  return `${encodeURIComponent(eventId)}/${encodeURIComponent(endpoint)}`;
}

/** Returns the id of a delivery in requests. */
export function idOf({ eventId, endpoint }) {
  return `${eventId}/${endpoint}`;
}

/** Names of the origin, which deliveries of the stream do not have. */
const ORIGIN = ["source", "session", "chat", "messageId"];

/** Returns true if the stream's deliveries can be compared with the filters. */
export function areStreamable(filters) {
  return !ORIGIN.some((name) => name in filters);
}

export function matches(delivery, filters) {
  return Object.entries(filters).every(([name, wanted]) => {
    const time = Date.parse(delivery.createdAt);
    // The server also takes relative times, which only the next look at the list applies.
    if (name === "since") return !(time < Date.parse(wanted));
    if (name === "until") return !(time >= Date.parse(wanted));
    if (name === "error") return (delivery.errorMessage ?? "").includes(wanted);
    return String(delivery[name] ?? "") === wanted;
  });
}

/**
 * Returns true if the newest page continues the list, so that no delivery between them is missing.
 * Only ended deliveries come by the stream.
 */
export function joins(shown, page) {
  const known = new Set(shown.map(pathOf));
  const oldest = page.findLast(({ status }) => status !== "retrying") ?? page.at(-1);
  return oldest !== undefined && known.has(pathOf(oldest));
}

/**
 * Returns the list with a new state of its newest page, and its older deliveries if `hasOlder`. Deliveries
 * in the page's range that it does not have are gone, except those in `fresh`, which came after the
 * request.
 */
export function withNewestPage(shown, page, hasOlder, fresh) {
  const inPage = new Set(page.map(pathOf));
  const bound = page.at(-1)?.createdAt ?? "";
  const others = shown.filter((delivery) => !inPage.has(pathOf(delivery)));
  const older = hasOlder ? others.filter(({ createdAt }) => createdAt <= bound) : [];
  const newer = others.filter((delivery) => delivery.createdAt > bound && fresh.has(pathOf(delivery)));
  return newer.reduce(withDelivery, [...page, ...older]);
}

/** Returns the list with an older page at its end. */
export function withOlderPage(shown, page) {
  const present = new Set(shown.map(pathOf));
  return [...shown, ...page.filter((delivery) => !present.has(pathOf(delivery)))];
}

/** Returns the list with a delivery in its place, newest first, instead of an older state of it. */
export function withDelivery(shown, delivery) {
  const path = pathOf(delivery);
  const at = shown.findIndex((other) => pathOf(other) === path);
  if (at >= 0) return shown.with(at, withOrigin(delivery, shown[at]));
  const place = shown.findIndex(({ createdAt }) => createdAt <= delivery.createdAt);
  return place < 0 ? [...shown, delivery] : shown.toSpliced(place, 0, delivery);
}

function withOrigin(delivery, known) {
  return { ...delivery, ...Object.fromEntries(ORIGIN.map((name) => [name, delivery[name] ?? known[name]])) };
}
