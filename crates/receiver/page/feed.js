// Connection to the receiver: updates and requests.

const RECONNECT_MS = 500;

/** Passes each update to `onUpdate`, and to `onState` true if connected, else false. */
export function follow(onUpdate, onState) {
  const source = new EventSource("/_receiver/api/stream");
  source.onopen = () => onState(true);
  source.onmessage = (event) => onUpdate(JSON.parse(event.data));
  source.onerror = () => {
    onState(false);
    // The browser reconnects by itself, except after an error response.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow(onUpdate, onState), RECONNECT_MS);
    }
  };
}

/** Returns the answer as JSON; throws an error with the reason from the receiver. */
export async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const answer = await fetch(`/_receiver/api/${path}`, options);
  const text = await answer.text();
  const data = text === "" ? null : JSON.parse(text);
  if (!answer.ok) throw new Error(data?.detail ?? `answered ${answer.status}`);
  return data;
}
