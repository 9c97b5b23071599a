// Figures and chart of the last 24 hours, and the names that they have.

import { ask } from "./api.js";
import { rate, rateChart } from "./chart.js";
import { suggest } from "./filters.js";
import { count, percent } from "./words.js";

const figures = document.getElementById("day-figures");
const chart = document.getElementById("day-chart");

export async function refresh() {
  try {
    const stats = await ask("GET", "stats");
    const ended = count(stats.success + stats.failed, "delivery", "deliveries");
    figures.textContent = `${percent(rate(stats))} of ${ended} succeeded; ${stats.failed} failed, ${stats.retrying} retrying`;
    chart.replaceChildren(rateChart(stats.hours));
    suggest(stats);
  } catch (error) {
    figures.textContent = error.message;
  }
}
