// Main module of the page: session, views and keys.

import * as address from "./address.js";
import { whenLoginNeeded } from "./api.js";
import * as day from "./day.js";
import * as deadLetters from "./dead_letters.js";
import * as deliveries from "./deliveries.js";
import * as detail from "./detail.js";
import * as endpoints from "./endpoints.js";
import * as filters from "./filters.js";
import * as jobs from "./jobs.js";
import * as keys from "./keys.js";
import * as list from "./list.js";
import { say } from "./notices.js";
import * as redeliver from "./redeliver.js";
import * as session from "./session.js";

const DAY_REFRESH_MS = 60_000;

const views = { deliveries, endpoints, "dead-letters": deadLetters };
let shown = null;
/** View and filters that are shown, as JSON. */
let state = "";

whenLoginNeeded(session.close);
address.start(draw);
filters.start();
list.start(detail.refresh);
deliveries.start();
endpoints.start();
deadLetters.start();
detail.start(redeliverThese);
jobs.start(refresh);
document.getElementById("redeliver-selected").addEventListener("click", () => redeliverThese(list.selection()));
document.getElementById("redeliver-all").addEventListener("click", () => redeliver.matching(address.read().filters));
document.getElementById("list").addEventListener("click", ({ target }) => {
  if (target.closest("a") !== null) detail.focusIfBelow();
});
setInterval(() => {
  if (shown === "deliveries" && !document.hidden) day.refresh();
}, DAY_REFRESH_MS);
keys.start(
  {
    j: () => onList(() => list.step(1)),
    k: () => onList(() => list.step(-1)),
    ArrowDown: () => onList(() => list.step(1)),
    ArrowUp: () => onList(() => list.step(-1)),
    Home: () => onList(() => list.step(-Infinity)),
    End: () => onList(() => list.step(Infinity)),
    x: () => onList(list.toggle),
    r: () => onList(redeliverOpen),
    c: () => onList(detail.copyCurl),
    p: () => onList(deliveries.togglePause),
    "/": () => onList(filters.focus),
    1: () => address.visit("?"),
    2: () => address.visit("?view=endpoints"),
    3: () => address.visit("?view=dead-letters"),
  },
  document.getElementById("list"),
);
session.start(open, close);

/** Shows the view of the URL, after a login. */
function open() {
  state = "";
  day.refresh();
  jobs.show();
  draw();
}

function close() {
  leave();
  jobs.leave();
  state = "";
}

function leave() {
  if (shown === null) return;
  views[shown].leave();
  document.getElementById(`${shown}-view`).hidden = true;
  shown = null;
}

function draw() {
  if (!["read", "write"].includes(document.body.dataset.access)) return;
  const { view, filters: values, open: path } = address.read();
  if (state !== JSON.stringify([view, values])) {
    state = JSON.stringify([view, values]);
    if (shown !== view) {
      leave();
      say("");
    }
    shown = view;
    document.getElementById(`${view}-view`).hidden = false;
    markView(view);
    if (view === "deliveries") filters.show(values);
    views[view].show(values);
  }
  list.markOpen(path);
  detail.show(view === "deliveries" ? path : null);
}

function markView(view) {
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Loads again what an ended job may have changed. */
function refresh() {
  deliveries.refresh();
  deadLetters.refresh();
  detail.refresh();
}

/** Calls `act` if the list is shown. */
function onList(act) {
  if (shown === "deliveries") act();
}

function redeliverOpen() {
  if (detail.current() !== null && session.canAct()) redeliverThese([detail.current()]);
}

async function redeliverThese(chosen) {
  if (await redeliver.these(chosen)) list.uncheckAll();
}
