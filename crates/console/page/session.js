// Login, and what this session may do.

import { ask } from "./api.js";
import { attempt, fail, say } from "./notices.js";

const form = document.getElementById("login");
const token = document.getElementById("token");
const access = document.getElementById("access");
const logOut = document.getElementById("log-out");

let onOpen = () => {};
let onClose = () => {};

/** Calls `opened` when the session can read, and `closed` when a login is needed. */
export async function start(opened, closed) {
  onOpen = opened;
  onClose = closed;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    logIn();
  });
  logOut.addEventListener("click", end);
  await attempt("reading the session", open);
}

export function canAct() {
  return document.body.dataset.access === "write";
}

/** Shows the login form. */
export function close() {
  if (!form.hidden) return;
  document.body.dataset.access = "none";
  access.textContent = "";
  logOut.hidden = true;
  form.hidden = false;
  token.focus();
  onClose();
}

async function open() {
  let session;
  try {
    session = await ask("GET", "session");
  } catch (error) {
    if (error.status === 401) return;
    throw error;
  }
  if (session.access !== "write" && session.access !== "read") return close();
  document.body.dataset.access = session.access;
  const user = session.user ? `${session.user}: ` : "";
  access.textContent = session.access === "read" ? `${user}read-only` : user.replace(": ", "");
  logOut.hidden = !session.loginNeeded;
  form.hidden = true;
  onOpen();
}

async function logIn() {
  try {
    await ask("POST", "session", { token: token.value });
    token.value = "";
    say("");
    await open();
  } catch (error) {
    fail(error.status === 401 ? "the token is wrong" : error.message);
  }
}

async function end() {
  await attempt("logging out", async () => {
    await ask("DELETE", "session");
    // Nothing of the session stays in the page.
    location.reload();
  });
}
