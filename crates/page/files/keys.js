// Keys without modifiers, as shortcuts.

/** Outside the list these keys scroll, or belong to other controls. */
const LIST_KEYS = new Set(["ArrowDown", "ArrowUp", "Home", "End"]);

/** Calls `actions[key]`, except in fields and dialogs. */
export function start(actions, list) {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches("input:not([type=checkbox]), select, textarea")) {
      if (key === "Escape") target.blur();
      return;
    }
    if (target.closest("dialog")) return;
    if (LIST_KEYS.has(key) && !list.contains(target) && target !== document.body) return;
    if (!Object.hasOwn(actions, key)) return;
    event.preventDefault();
    actions[key]();
  });
}
