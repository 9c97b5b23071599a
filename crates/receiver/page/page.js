// Main module of the page: applies updates and handles keys.

import * as answers from "./answers.js";
import * as detail from "./detail.js";
import { ask, follow } from "./feed.js";
import * as keys from "./keys.js";
import * as list from "./list.js";
import { title } from "./words.js";

const connection = document.getElementById("connection");
const news = document.getElementById("news");
const pause = document.getElementById("pause");
const text = document.getElementById("text");

let run = null;
let paused = false;
/** Deliveries since the last frame, or since the pause, by number. */
let pending = new Map();
let first = 0;
let frame = null;
let announced = 0;

document.getElementById("here").textContent = location.origin;
answers.start();
list.start(detail.show);
follow(onUpdate, onState);
pause.addEventListener("click", togglePause);
document.getElementById("clear").addEventListener("click", clear);
keys.start(
  {
    j: () => list.step(1),
    k: () => list.step(-1),
    ArrowDown: () => list.step(1),
    ArrowUp: () => list.step(-1),
    Home: () => list.step(-Infinity),
    End: () => list.step(Infinity),
    "/": () => text.focus(),
    p: togglePause,
    c: detail.copyCurl,
  },
  document.getElementById("list"),
);

function onUpdate(update) {
  if (run !== null && run !== update.run) {
    pending.clear();
    list.forgetAll();
    news.textContent = "The receiver was restarted.";
  }
  if (run !== update.run) announced = update.deliveries.at(-1)?.number ?? 0;
  run = update.run;
  first = update.first;
  answers.showRule(update.rule);
  for (const delivery of update.deliveries) pending.set(delivery.number, delivery);
  for (const number of pending.keys()) {
    if (number < first) pending.delete(number);
  }
  if (paused) showPause();
  else frame ??= requestAnimationFrame(draw);
}

function onState(connected) {
  connection.textContent = connected ? "connected" : "connection lost; trying again…";
  connection.className = connected ? "good" : "bad";
}

function draw() {
  frame = null;
  const came = [...pending.values()];
  pending = new Map();
  list.put(came, first);
  const fresh = came.filter(({ number }) => number > announced);
  if (fresh.length === 0) return;
  announced = fresh.at(-1).number;
  const latest = title(fresh.at(-1));
  news.textContent = fresh.length === 1 ? `New delivery: ${latest}` : `${fresh.length} new deliveries, latest: ${latest}`;
}

function togglePause() {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  showPause();
  if (!paused) frame ??= requestAnimationFrame(draw);
}

function showPause() {
  pause.textContent = paused ? `Resume (${pending.size} new)` : "Pause";
}

async function clear() {
  try {
    await ask("DELETE", "deliveries");
  } catch (error) {
    news.textContent = `not cleared: ${error.message}`;
  }
}
