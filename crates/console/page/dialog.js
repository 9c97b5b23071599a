// Dialog that confirms an action.

import { button, element } from "./elements.js";

/**
 * Asks for a confirmation. `fields` are labelled inputs. Returns their values by name after
 * `action` is chosen, else null.
 */
export function confirm({ title, lines, action, fields = [], isRisky = false }) {
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" });
  const act = element("button", { id: "dialog-act", class: isRisky ? "risky" : "" }, action);
  const cancel = button({ id: "dialog-cancel" }, "Cancel", () => dialog.close());
  const form = element(
    "form",
    {},
    element("h2", { id: "dialog-title" }, title),
    ...lines.map((line) => element("p", {}, line)),
    ...fields.map(({ label, input }) => element("p", {}, element("label", {}, `${label} `, input))),
    element("div", { class: "controls" }, act, cancel),
  );
  dialog.append(form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let values = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      values = Object.fromEntries(fields.map(({ input }) => [input.name, input.value.trim()]));
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(values);
    });
    dialog.showModal();
    (isRisky ? cancel : act).focus();
  });
}
