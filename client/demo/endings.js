// The pages that a wizard ends on: errors by step, the record, a session that is gone.

import { el, heading, showPage } from "./dom.js";
import { describe, textOf, words } from "./fields.js";

const dateTimes = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });
const dateTime = (instant) => dateTimes.format(new Date(instant));

/** What finalizing found missing; `go(step, field)` leads there. */
export function showIncomplete(problem, titles, go) {
  const title = heading("Not quite finished");
  const sections = problem.steps
    .filter((step) => !step.valid)
    .map((step) =>
      el(
        "section",
        { className: "issues" },
        el("h2", {}, titles.get(step.step)),
        el("ul", {}, ...step.errors.map((error) => issue(error, () => go(step.step, error.field)))),
      ),
    );
  showPage(title, el("p", { className: "note" }, "All you typed is kept. These need a look:"), ...sections);
  title.focus();
}

function issue({ field, message }, onclick) {
  const name = field ? `${words(field)}: ` : "";
  return el("li", {}, el("button", { type: "button", className: "link", onclick }, name + message));
}

/** The record, its fields in the order of the flow. */
export function showRecord(record, flow, startAnother) {
  const title = heading("Recorded");
  showPage(
    title,
    el("p", { className: "note" }, `The draft is gone; this record stays. ${dateTime(record.finalizedAt)}`),
    ...flow.steps.map((step, index) => summary(step, record.steps[index].data)),
    el("p", { className: "note" }, "Record ", el("code", {}, record.recordId)),
    buttons(["Start another", startAnother, "primary"]),
  );
  title.focus();
}

function summary({ title, schema }, data) {
  const filled = describe(schema).filter(({ name }) => name in data);
  const entries = filled.flatMap((field) => [
    el("dt", {}, field.label),
    el("dd", {}, textOf(field, data[field.name])),
  ]);
  return el("section", { className: "summary" }, el("h2", {}, title), el("dl", {}, ...entries));
}

export function showExpired({ expiredAt }, startOver) {
  const at = expiredAt ? ` on ${dateTime(expiredAt)}` : "";
  showGone(
    "This session has expired",
    `Drafts are kept for a limited time. This one ended${at}, and its data is gone.`,
    ["Start over", startOver, "primary"],
  );
}

export function showUnknown(startOver, keep) {
  showGone(
    "The server no longer knows this session",
    "It was deleted, the server began anew with an empty store, or this browser now calls itself another. " +
      "What you typed is still on this page.",
    ["Start over", startOver, "quiet"],
    ["Go on with what I typed", keep, "primary"],
  );
}

function showGone(text, explanation, ...choices) {
  const title = heading(text);
  showPage(title, el("p", {}, explanation), buttons(...choices));
  title.focus();
}

function buttons(...choices) {
  return el(
    "p",
    { className: "buttons" },
    ...choices.map(([label, onclick, className]) => el("button", { type: "button", className, onclick }, label)),
  );
}
