// Messages about actions, also for screen readers.

const notice = document.getElementById("notice");
const failure = document.getElementById("failure");

export function say(text) {
  failure.textContent = "";
  notice.textContent = text;
}

export function fail(text) {
  notice.textContent = "";
  failure.textContent = text;
}

/** Runs an action and shows its error, if any. */
export async function attempt(what, act) {
  try {
    return await act();
  } catch (error) {
    fail(`${what} failed: ${error.message}`);
    return undefined;
  }
}
