// The form of one step.

import { el, heading } from "./dom.js";
import { createControl, describe, readValue, showValue } from "./fields.js";

export class StepForm {
  #fields;
  #parts = new Map(); // by field name: { field, control, message, row }
  #errors = new Map();

  /** `on`: input(name, value), leave(), submit(), back(). */
  constructor(step, { isFirst, isLast }, on) {
    this.#fields = describe(step.schema);
    this.heading = heading(step.title);
    const some = this.#fields.some((field) => field.required);
    this.element = el(
      "form",
      { noValidate: true, autocomplete: "off" },
      this.heading,
      el("p", { className: "note" }, some ? "Fields marked * are needed to finish." : ""),
      ...this.#fields.map((field) => this.#row(field)),
      el(
        "p",
        { className: "buttons" },
        isFirst ? null : el("button", { type: "button", className: "quiet", onclick: on.back }, "Back"),
        el("button", { className: "primary" }, isLast ? "Finish" : "Next"),
      ),
    );
    this.element.addEventListener("input", ({ target }) => {
      on.input(target.name, readValue(this.#parts.get(target.name).field, target));
    });
    this.element.addEventListener("focusout", ({ target }) => {
      if (this.#parts.has(target.name)) this.#showError(target.name);
      on.leave();
    });
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      on.submit();
    });
  }

  get names() {
    return this.#fields.map((field) => field.name);
  }

  show(values) {
    for (const [name, { field, control }] of this.#parts) {
      // What means the same stays as it was typed: 2.50 does not become 2.5 under one's hands.
      const value = values[name] ?? null;
      if (readValue(field, control) !== value) showValue(field, control, value);
    }
  }

  /** `errors`: a Map from field names to messages. Whoever still types is told on leaving. */
  showErrors(errors) {
    this.#errors = errors;
    for (const [name, { control, message }] of this.#parts) {
      const isNewsWhileTyping = control === document.activeElement && message.hidden;
      if (!isNewsWhileTyping || !errors.has(name)) this.#showError(name);
    }
  }

  /** Shows all errors, and brings the person to the first. */
  focusFirstError() {
    for (const name of this.names) this.#showError(name);
    const first = this.names.find((name) => this.#errors.has(name));
    if (first) this.#parts.get(first).control.focus();
  }

  focusField(name) {
    (this.#parts.get(name)?.control ?? this.heading).focus();
  }

  #row(field) {
    const id = `field-${field.name}`;
    const control = createControl(field, {
      id,
      "aria-describedby": `${id}-hint ${id}-error`,
    });
    const message = el("span", { id: `${id}-error`, className: "error", hidden: true });
    const mark = field.required ? el("span", { className: "mark", "aria-hidden": "true" }, " *") : null;
    const row = el(
      "div",
      { className: `field ${field.kind}` },
      el("label", { htmlFor: id }, field.label, mark),
      control,
      el("span", { id: `${id}-hint`, className: "hint" }, field.hint),
      el("div", { role: "alert", "aria-live": "polite" }, message),
    );
    this.#parts.set(field.name, { field, control, message, row });
    return row;
  }

  #showError(name) {
    const { control, message, row } = this.#parts.get(name);
    const text = this.#errors.get(name) ?? "";
    row.classList.toggle("invalid", Boolean(text));
    control.setAttribute("aria-invalid", String(Boolean(text)));
    message.hidden = !text;
    if (message.textContent !== text) message.textContent = text;
  }
}
