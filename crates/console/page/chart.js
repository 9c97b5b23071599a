// Charts of hourly figures, as SVG.

import { count, percent } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Returns the success rate (0 to 1), or null if nothing ended. */
export function rate({ success, failed }) {
  return success + failed === 0 ? null : success / (success + failed);
}

/** Returns bars with the share of successes and failures in each hour. */
export function rateChart(hours) {
  const chart = svg("svg", { viewBox: `0 0 ${hours.length * 10} 40`, preserveAspectRatio: "none", class: "chart", role: "img" });
  chart.setAttribute("aria-label", description(hours));
  hours.forEach((hour, at) => {
    const share = rate(hour);
    const bar = svg("g");
    const x = at * 10 + 1;
    bar.append(svg("title", {}, hint(hour)), svg("rect", { x, y: 0, width: 8, height: 40, class: "none" }));
    if (share !== null) {
      // A single failure among many is visible.
      const bad = share === 1 ? 0 : Math.max((1 - share) * 40, 2);
      bar.append(svg("rect", { x, y: bad, width: 8, height: 40 - bad, class: "good" }));
      bar.append(svg("rect", { x, y: 0, width: 8, height: bad, class: "bad" }));
    }
    chart.append(bar);
  });
  return chart;
}

/** Returns a line of the number of ended deliveries in each hour. */
export function sparkline(hours, name) {
  const ended = hours.map(({ success, failed }) => success + failed);
  const most = Math.max(1, ...ended);
  const width = Math.max(1, hours.length - 1);
  const label = `${name}: deliveries ended in each of the last ${hours.length} hours, at most ${count(most, "delivery", "deliveries")} in one`;
  const chart = svg("svg", { viewBox: `0 -1 ${width} 22`, preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": label });
  const points = ended.map((n, at) => `${at},${(20 - (n / most) * 20).toFixed(1)}`);
  chart.append(svg("title", {}, label), svg("polyline", { points: points.join(" ") }));
  return chart;
}

function description(hours) {
  const known = hours.filter((hour) => rate(hour) !== null);
  if (known.length === 0) return "success rate of each hour: no delivery has ended";
  const worst = known.reduce((a, b) => (rate(b) < rate(a) ? b : a));
  return `success rate of each hour, lowest ${percent(rate(worst))} at ${clock(worst.at)}`;
}

function hint(hour) {
  const share = rate(hour);
  const ended = count(hour.success + hour.failed, "delivery", "deliveries");
  return `${clock(hour.at)}: ${share === null ? "none" : `${percent(share)} of ${ended}`}`;
}

function clock(iso) {
  return new Date(iso).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}
