// Jobs of the program, with their progress.

import { ask } from "./api.js";
import { button, element } from "./elements.js";
import { attempt, say } from "./notices.js";
import { count, moment } from "./words.js";

const POLL_MS = 1000;
/** Jobs shown; the newest first. */
const SHOWN = 5;
/** Time for which ended jobs are shown. */
const ENDED_MS = 3_600_000;
const KINDS = { redelivery: "Redelivery", redrive: "Redrive", discard: "Discard", "give-up": "Give-up" };
const COLOURS = { running: "unsure", done: "good", cancelled: "faint", failed: "bad" };

const section = document.getElementById("jobs");
const list = document.getElementById("job-list");

let timer = null;
let isActive = false;
let onEnd = () => {};
let running = new Set();

/** Calls `ended` when a job has ended. */
export function start(ended) {
  onEnd = ended;
}

/** Shows the jobs. Follows those that run. */
export function show() {
  isActive = true;
  poll();
}

export function leave() {
  isActive = false;
  section.hidden = true;
}

/** Starts a job by a request; returns true if it has started. */
export async function begin(what, path, body) {
  const started = await attempt(what, () => ask("POST", path, body));
  if (started === undefined) return false;
  say(`${what} has started: ${count(started.count, "event")}`);
  running.add(started.job);
  await poll();
  return true;
}

async function poll() {
  clearTimeout(timer);
  if (!isActive) return;
  try {
    const { jobs } = await ask("GET", "jobs");
    draw(jobs);
    const now = new Set(jobs.filter(({ state }) => state === "running").map(({ job }) => job));
    const ended = jobs.filter(({ job }) => running.has(job) && !now.has(job));
    running = now;
    if (ended.length > 0) {
      say(ended.map(summary).join("; "));
      onEnd();
    }
    if (now.size > 0) timer = setTimeout(poll, POLL_MS);
  } catch (error) {
    // Without an answer try again, unless the program has no jobs.
    if (error.status === 0 || error.status === 503) timer = setTimeout(poll, 5 * POLL_MS);
    else section.hidden = true;
  }
}

function draw(jobs) {
  const isRecent = ({ endedAt }) => endedAt === null || Date.now() - Date.parse(endedAt) < ENDED_MS;
  const newest = jobs.filter(isRecent).toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, SHOWN);
  section.hidden = newest.length === 0;
  const hadFocus = list.contains(document.activeElement) ? document.activeElement.dataset.job : null;
  list.replaceChildren(...newest.map(item));
  if (hadFocus) list.querySelector(`[data-job="${CSS.escape(hadFocus)}"]`)?.focus();
}

function item(job) {
  const parts = [element("span", { class: COLOURS[job.state] ?? "" }, summary(job)), " ", moment(job.createdAt)];
  if (job.state === "running") {
    const bar = element("progress", { max: Math.max(job.count, 1), value: job.done + job.failed, "aria-label": summary(job) });
    const cancel = button({ class: "acts" }, "Cancel", () => end(job.job));
    cancel.dataset.job = job.job;
    parts.push(bar, cancel);
  }
  return element("li", {}, ...parts);
}

function summary({ kind, state, count: all, done, failed, error }) {
  const failures = failed > 0 ? `, ${failed} failed` : "";
  const reason = error ? `: ${error}` : "";
  return `${KINDS[kind] ?? kind} ${state}: ${done} of ${all}${failures}${reason}`;
}

async function end(job) {
  await attempt("cancelling", () => ask("DELETE", `jobs/${encodeURIComponent(job)}`));
  await poll();
}
