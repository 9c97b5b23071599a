// Connection to the receiver: updates and requests.

import * as server from "./server.js";

const RECONNECT_MS = 500;

/** Passes each update to `onUpdate`, and to `onState` true if connected, else false. */
export function follow(onUpdate, onState) {
  server.follow("/_receiver/api/stream", RECONNECT_MS, onUpdate, onState);
}

/** Returns the answer as JSON; throws an error with the reason from the receiver. */
export function ask(method, path, body) {
  return server.request(method, `/_receiver/api/${path}`, body);
}
