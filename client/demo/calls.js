// The panel of the latest calls to the API.

import { observe } from "./api.js";
import { el } from "./dom.js";

const SHOWN = 14;
const UUID = /[0-9a-f]{8}-[0-9a-f-]{27}/g;

export function showCalls() {
  const rows = document.querySelector("#calls");
  observe(({ method, path, status, ms }) => {
    const short = path.replace(UUID, (id) => `${id.slice(0, 4)}…`);
    const family = status ? Math.floor(status / 100) : 0;
    rows.prepend(
      el(
        "tr",
        { "data-family": String(family) },
        el("td", {}, method),
        el("td", {}, short),
        el("td", {}, status ? String(status) : "none"),
        el("td", {}, String(ms)),
      ),
    );
    while (rows.childElementCount > SHOWN) rows.lastElementChild.remove();
  });
}
