// The list of steps and the bar above the form.

import { el } from "./dom.js";

export class Steps {
  #nav = document.querySelector("#steps");
  #buttons;

  constructor(steps, onChoose) {
    this.#buttons = new Map(
      steps.map(({ step, title }) => [
        step,
        el("button", { type: "button", onclick: () => onChoose(step) }, el("span", {}, title)),
      ]),
    );
    this.#nav.querySelector("ol").replaceChildren(
      ...[...this.#buttons.values()].map((button) => el("li", {}, button)),
    );
    this.#nav.hidden = false;
  }

  show({ current, completed, invalid }) {
    for (const [step, button] of this.#buttons) {
      const state = completed.includes(step) ? "complete" : invalid.has(step) ? "invalid" : "open";
      button.dataset.state = state;
      button.title = state === "open" ? "" : { complete: "Complete", invalid: "Needs a look" }[state];
      if (step === current) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
    const progress = this.#nav.querySelector("progress");
    progress.max = this.#buttons.size;
    progress.value = completed.length;
    progress.textContent = `${completed.length} of ${this.#buttons.size}`;
  }

  hide() {
    this.#nav.hidden = true;
  }
}
