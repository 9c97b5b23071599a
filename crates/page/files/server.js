// Connection to the program: requests and server-sent events.

/** Error answer. `status` is 0 without an answer; `kind` is the type of a problem document, else null. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? (status === 0 ? "no connection to the program" : `answered ${status}`));
    this.status = status;
    this.kind = problem?.type ?? null;
  }
}

/** Returns the answer as JSON, or null if it is empty; throws `Refused`. */
export async function request(method, url, body) {
  const options = { method };
  if (method !== "GET") options.headers = { "Content-Type": "application/json" };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(url, options).catch(() => null);
  if (answer === null) throw new Refused(0, null);
  const data = parse(await answer.text());
  if (!answer.ok) throw new Refused(answer.status, data);
  return data;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Passes the data of each event to `onData`, and to `onState` true if connected, else false.
 * Connects again `retryMs` after an error. Returns a function that ends it.
 */
export function follow(url, retryMs, onData, onState) {
  let source = null;
  let timer = null;
  const connect = () => {
    source = new EventSource(url);
    source.onopen = () => onState(true);
    source.onmessage = (event) => onData(JSON.parse(event.data));
    source.onerror = () => {
      onState(false);
      // The browser reconnects by itself, except after an error response.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, retryMs);
    };
  };
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
