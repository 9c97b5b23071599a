// Attempts of a delivery as a timeline.

import { element } from "./elements.js";
import { milliseconds, moment } from "./words.js";

export function attempts({ attempts: all, nextAttemptAt, webhookUrl }) {
  const longest = Math.max(1, ...all.map(({ durationMs }) => durationMs ?? 0));
  const items = all.map((attempt) => item(attempt, longest, webhookUrl));
  if (nextAttemptAt) items.push(element("li", { class: "unsure" }, "next attempt: ", moment(nextAttemptAt)));
  if (items.length === 0) return element("p", { class: "faint" }, "No attempt is recorded.");
  return element("ol", { id: "attempts", class: "timeline" }, ...items);
}

function item(attempt, longest, usualUrl) {
  const { number, startedAt, durationMs, statusCode, error, webhookUrl, response, otherEvent } = attempt;
  const isGood = statusCode >= 200 && statusCode < 300;
  const outcome = statusCode === null ? "no answer" : `answer ${statusCode}`;
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${((durationMs ?? 0) / longest) * 100}%`;
  const parts = [
    element("span", { class: "attempt" }, `Attempt ${number}: `, element("span", { class: isGood ? "good" : "bad" }, outcome), ` after ${milliseconds(durationMs)}`),
    " ",
    element("span", { class: "faint" }, moment(startedAt)),
    bar,
  ];
  if (error) parts.push(element("p", { class: "bad" }, error));
  if (otherEvent) parts.push(element("p", { class: "unsure" }, "sent another event with the same id, not the payload below"));
  if (webhookUrl !== usualUrl) parts.push(element("p", { class: "faint" }, `sent to ${webhookUrl}`));
  if (response) {
    parts.push(element("details", { class: "response" }, element("summary", {}, "answer of the receiver"), element("pre", { tabindex: "0" }, response)));
  }
  return element("li", { class: isGood ? "done" : "" }, ...parts);
}
