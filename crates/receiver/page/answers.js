// Controls for the answers to the next deliveries.

import { ask } from "./feed.js";
import { answer } from "./words.js";

const field = (id) => document.getElementById(id);
const ruleText = field("rule");

export function start() {
  const buttons = {
    "answer-500": () => ({ status: 500 }),
    "answer-429": () => ({ status: 429, retry_after_s: Math.round(number("retry-after")) }),
    "answer-delay": () => ({ status: 200, delay_ms: Math.round(number("delay") * 1000) }),
  };
  for (const [id, rule] of Object.entries(buttons)) {
    field(id).addEventListener("click", () => change("PUT", { ...rule(), next: next() }));
  }
  field("answer-200").addEventListener("click", () => change("DELETE"));
  field("always").addEventListener("change", () => {
    field("next").disabled = field("always").checked;
  });
}

export function showRule(rule) {
  const text = answer(rule).replace(/^200$/, "200 at once");
  ruleText.textContent = rule.next === null ? `all: ${text}` : `the next ${rule.next}: ${text}`;
  ruleText.className = "";
}

function number(id) {
  const { valueAsNumber } = field(id);
  return Number.isFinite(valueAsNumber) ? valueAsNumber : 0;
}

function next() {
  return field("always").checked ? null : Math.round(number("next"));
}

async function change(method, rule) {
  try {
    showRule(await ask(method, "rule", rule));
  } catch (error) {
    ruleText.textContent = `not changed: ${error.message}`;
    ruleText.className = "bad";
  }
}
