// View of deliveries: loads pages, and keeps the list up to date.

import { API, ask, query } from "./api.js";
import * as list from "./list.js";
import { areStreamable, joins, matches, pathOf, withDelivery, withNewestPage, withOlderPage } from "./records.js";
import { follow } from "./server.js";
import { count } from "./words.js";

const PAGE = 50;
const OLDER_PAGE = 200;
/** Deliveries kept in the list, unless more are loaded on purpose. */
const MOST = 1000;
const RECONNECT_MS = 3000;
/** Delay of a look at the newest page after an event of the stream. */
const SOON_MS = 1000;
/** Interval of looks at the newest page: the stream has only deliveries that ended. */
const REFRESH_MS = 10_000;

const connection = document.getElementById("connection");
const news = document.getElementById("news");
const empty = document.getElementById("empty");
const counted = document.getElementById("count");
const more = document.getElementById("more");
const pause = document.getElementById("pause");

let filters = {};
let shown = [];
let next = null;
/** True if the oldest deliveries were dropped, so that `next` is of no use. */
let isCut = false;
let isLoaded = false;
let most = MOST;
/** Paths of deliveries that came since the last request for the newest page. */
let fresh = new Set();
let pending = new Map();
let frame = null;
/** Timer of a look at the newest page, for filters that the stream cannot answer. */
let soon = null;
let paused = false;
/** Number of the search: answers to an earlier one are dropped. */
let search = 0;
let isActive = false;
let stop = () => {};

export function start() {
  more.addEventListener("click", loadMore);
  pause.addEventListener("click", togglePause);
  setInterval(refresh, REFRESH_MS);
}

/** Searches with these filters and follows the results. */
export function show(wanted) {
  isActive = true;
  filters = wanted;
  search += 1;
  [shown, next, isCut, isLoaded, most] = [[], null, false, false, MOST];
  pending.clear();
  empty.textContent = "Loading…";
  draw();
  stop();
  const ended = ["success", "failed"].includes(filters.status) ? filters.status : null;
  const narrowed = { endpoint: filters.endpoint, event: filters.event, status: ended };
  stop = follow(`${API}events/live${query(narrowed)}`, RECONNECT_MS, onEnded, onState);
  load();
}

export function leave() {
  isActive = false;
  search += 1;
  stop();
  connection.textContent = "";
}

/** Loads the newest page again, e.g. after a redelivery. */
export function refresh() {
  clearTimeout(soon);
  soon = null;
  if (isActive && !paused && !document.hidden) load();
}

export function togglePause() {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  showPause();
  if (!paused) draw();
}

async function load() {
  const at = search;
  fresh = new Set();
  try {
    const { deliveries, next: cursor } = await ask("GET", `deliveries${query({ ...filters, limit: PAGE })}`);
    if (at !== search || paused) return;
    take(deliveries, cursor);
    empty.textContent = "No delivery matches.";
    empty.className = "";
    draw();
  } catch (error) {
    if (at !== search) return;
    empty.textContent = error.message;
    empty.className = "bad";
    empty.hidden = false;
  }
}

function take(page, cursor) {
  const isContinued = isLoaded && cursor !== null && joins(shown, page);
  shown = withNewestPage(shown, page, isContinued, fresh);
  if (!isContinued) [next, isCut] = [cursor, false];
  isLoaded = true;
}

async function loadMore() {
  const at = search;
  more.disabled = true;
  try {
    const { deliveries, next: cursor } = await ask("GET", `deliveries${query(olderPage())}`);
    if (at !== search) return;
    shown = withOlderPage(shown, deliveries);
    [next, isCut] = [cursor, false];
    most = Math.max(most, shown.length + MOST);
    draw();
  } catch (error) {
    news.textContent = error.message;
  }
  more.disabled = false;
}

/** Without a usable cursor the next page begins at the time of the last one shown. */
function olderPage() {
  if (!isCut) return { ...filters, limit: OLDER_PAGE, cursor: next };
  const until = new Date(Date.parse(shown.at(-1).createdAt) + 1).toISOString();
  return { ...filters, limit: OLDER_PAGE, until };
}

function onEnded(delivery) {
  if (!areStreamable(filters)) {
    soon ??= setTimeout(refresh, SOON_MS);
    return;
  }
  pending.set(pathOf(delivery), delivery);
  if (paused) showPause();
  else frame ??= requestAnimationFrame(draw);
}

function onState(connected) {
  connection.textContent = connected ? "live" : "connection lost; trying again…";
  connection.className = connected ? "good" : "bad";
  // The stream may have missed some.
  if (connected) refresh();
}

function draw() {
  frame = null;
  const came = [...pending.values()];
  pending = new Map();
  const known = new Set(shown.map(pathOf));
  const added = came.filter((delivery) => put(delivery) && !known.has(pathOf(delivery)));
  if (shown.length > most) {
    shown = shown.slice(0, most);
    isCut = true;
  }
  list.draw(shown);
  counted.textContent = `${shown.length}${next === null && !isCut ? "" : "+"}`;
  empty.hidden = shown.length > 0;
  more.hidden = next === null && !isCut;
  if (added.length > 0) {
    const latest = `${added.at(-1).event} to ${added.at(-1).endpoint}: ${added.at(-1).status}`;
    news.textContent = `${count(added.length, "new delivery", "new deliveries")}, latest: ${latest}`;
  }
}

/** Puts an ended delivery into the list, or removes it; returns true if it is listed. */
function put(delivery) {
  const path = pathOf(delivery);
  if (!matches(delivery, filters)) {
    shown = shown.filter((other) => pathOf(other) !== path);
    return false;
  }
  const isOlder = shown.length > 0 && delivery.createdAt < shown.at(-1).createdAt;
  const isListed = shown.some((other) => pathOf(other) === path);
  // Older ones belong to a page that is not loaded.
  if (isOlder && !isListed && (next !== null || isCut)) return false;
  fresh.add(path);
  shown = withDelivery(shown, delivery);
  return true;
}

function showPause() {
  pause.textContent = paused ? `Resume (${pending.size} new)` : "Pause";
}
