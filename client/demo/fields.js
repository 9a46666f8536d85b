// From the JSON Schema of a field to a control, and between its text and its JSON value.

import { el } from "./dom.js";

const LONG_TEXT = 300;
// What JavaScript holds exactly. Anything else is sent as the text it is: a draft may hold it.
const NUMBER = /^-?\d{1,15}(\.\d{1,10})?$/;

/** Describes the fields of a step: [{ name, label, kind, required, options, preset, hint }]. */
export function describe(schema) {
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const plain = property.anyOf?.find((choice) => choice.type !== "null") ?? property;
    return {
      name,
      label: words(name),
      kind: kindOf(plain),
      required: (schema.required ?? []).includes(name),
      options: plain.enum ?? [],
      preset: property.default ?? "",
      hint: hintOf(plain),
    };
  });
}

/** "estimatedStartDate" and "mixed-use" as people write them. */
export function words(name) {
  const text = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/_/g, " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function createControl(field, properties) {
  const common = { name: field.name, required: field.required, ...properties };
  switch (field.kind) {
    case "select": {
      const blank = field.preset ? [] : [el("option", { value: "" }, "Choose …")];
      const options = field.options.map((option) => el("option", { value: option }, words(option)));
      return el("select", common, ...blank, ...options);
    }
    case "long":
      return el("textarea", { rows: 4, ...common });
    case "integer":
    case "number":
      // Not type=number: it hides from scripts what is not a number yet.
      return el("input", { inputMode: field.kind === "integer" ? "numeric" : "decimal", ...common });
    default:
      return el("input", { type: field.kind, ...common });
  }
}

/** A value as people read it, for a summary. */
export function textOf(field, value) {
  if (typeof value === "number") return value.toLocaleString("en");
  return field.kind === "select" ? words(value) : String(value);
}

/** The JSON value of a control; null: nothing is there. */
export function readValue(field, control) {
  const text = control.value;
  if (text.trim() === "") return null;
  const isNumber = ["integer", "number"].includes(field.kind) && NUMBER.test(text.trim());
  return isNumber ? Number(text) : text;
}

/** Shows a value in a control, even one that the control would not have let through. */
export function showValue(field, control, value) {
  const text = String(value ?? field.preset);
  if (control.value === text) return;
  control.value = text;
  if (control.value === text || field.kind === "long") return;
  if (field.kind === "select") control.append(el("option", { value: text }, text));
  else control.type = "text";
  control.value = text;
}

function kindOf({ type, format, maxLength, enum: options }) {
  if (options) return "select";
  if (type === "integer" || type === "number") return type;
  if (["date", "email", "tel"].includes(format)) return format;
  return maxLength > LONG_TEXT ? "long" : "text";
}

function hintOf({ minimum, maximum, exclusiveMinimum }) {
  const number = (value) => value.toLocaleString("en");
  if (minimum !== undefined && maximum !== undefined) return `${number(minimum)} to ${number(maximum)}`;
  if (minimum !== undefined) return `${number(minimum)} or more`;
  if (exclusiveMinimum !== undefined) return `More than ${number(exclusiveMinimum)}`;
  return "";
}
