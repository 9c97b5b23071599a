// What does the receiver say, and is it there?

const AGAIN_MS = 500;

/** Hands each update to `onUpdate`; says to `onState` whether there is a connection. */
export function follow(onUpdate, onState) {
  const source = new EventSource("/_receiver/api/stream");
  source.onopen = () => onState(true);
  source.onmessage = (event) => onUpdate(JSON.parse(event.data));
  source.onerror = () => {
    onState(false);
    // The browser connects again by itself, unless it was answered with an error.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow(onUpdate, onState), AGAIN_MS);
    }
  };
}

/** The answer as JSON; throws with what the receiver says is wrong. */
export async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const answer = await fetch(`/_receiver/api/${path}`, options);
  const text = await answer.text();
  const said = text === "" ? null : JSON.parse(text);
  if (!answer.ok) throw new Error(said?.detail ?? `answered ${answer.status}`);
  return said;
}
