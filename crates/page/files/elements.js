// Elements of the page. Values are inserted as text only.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === "class") made.className = value;
    else made.setAttribute(attribute, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** Returns a button that calls `act`. */
export function button(attributes, name, act) {
  const made = element("button", { type: "button", ...attributes }, name);
  made.addEventListener("click", act);
  return made;
}

/** Returns a `dl` of names and values, without those whose value is null. */
export function facts(pairs) {
  const list = element("dl");
  for (const [name, value] of pairs) {
    if (value !== null) list.append(element("dt", {}, name), element("dd", {}, value));
  }
  return list;
}

/** Returns a table of two columns: names and values, each as monospaced text. */
export function pairTable(id, pairs) {
  const rows = pairs.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row", class: "mono" }, name), element("td", { class: "mono" }, value)),
  );
  return element("table", { id, class: "pairs" }, element("tbody", {}, ...rows));
}
