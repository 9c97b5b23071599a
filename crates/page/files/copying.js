// Copies to the clipboard.

import { element } from "./elements.js";

/** Copies, or shows a field to copy from if there is no clipboard. `status` names what was copied. */
export async function copy(text, what, status) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = `copied ${what}`;
  } catch {
    // Browsers have no clipboard for pages that are not on loopback.
    const field = element("textarea", { readonly: "", "aria-label": "copy from here" });
    field.value = text;
    status.replaceChildren("press Ctrl-C: ", field);
    field.select();
  }
}
