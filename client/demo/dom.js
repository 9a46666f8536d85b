// Elements in one expression: el("p", { className: "note" }, "text", child).

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Shows other content in the page's main part, and brings the reader to its heading. */
export function showPage(...content) {
  document.querySelector("#page").replaceChildren(...content);
}

/** A heading that can take the focus, so that a screen reader begins there. */
export function heading(text) {
  return el("h1", { tabIndex: -1 }, text);
}
