// Requests to the API of the console.

import * as server from "./server.js";

export const API = "api/v1/";

let onLogin = () => {};

/** Sets the function that is called when the API wants a token. */
export function whenLoginNeeded(act) {
  onLogin = act;
}

/** Returns the answer as JSON; throws an error with the reason from the program. */
export async function ask(method, path, body) {
  try {
    return await server.request(method, API + path, body);
  } catch (error) {
    if (error.status === 401) onLogin();
    if (isMissing(error)) error.message = `this program cannot do that yet (${error.status} for ${path.replace(/\?.*/, "")})`;
    throw error;
  }
}

/** Returns true if the program has no such path: it is older than the page, or lacks a part. */
function isMissing({ status, kind }) {
  return [404, 405, 501].includes(status) && (kind === null || /:(not-found|method-not-allowed)$/.test(kind));
}

/** Returns a query string with the values that are set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
}
