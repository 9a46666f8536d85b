// Opens the session of this browser, or a new one, and shows the page that fits.

import { call, sessionPath } from "./api.js";
import { showCalls } from "./calls.js";
import { showExpired, showIncomplete, showRecord, showUnknown } from "./endings.js";
import { persistently } from "./retry.js";
import { status } from "./status.js";
import { creationKey, sessionId } from "./storage.js";
import { Wizard } from "./wizard.js";

const FLOW = "project";

const startOverButton = document.querySelector("#start-over");
const confirmation = document.querySelector("#confirm");
let flow;
let wizard = null;

/** Calls until there is an answer, and says so while there is none. */
function ask(method, path, options) {
  return persistently(() => call(method, path, options), status.waiting);
}

async function open() {
  const id = sessionId.get();
  const answer = id ? await ask("GET", sessionPath(id)) : { status: 404 };
  if ([403, 404].includes(answer.status)) await create({});
  else await show(answer);
}

async function create(content) {
  const headers = { "Idempotency-Key": creationKey() };
  const answer = await ask("POST", "/sessions", { body: { flow: FLOW, ...content }, headers });
  if (answer.ok) sessionId.set(answer.body.sessionId);
  await show(answer);
}

/** Shows what an answer about the session calls for. */
async function show({ status: code, body }) {
  const recordId = body?.recordId; // of a finalized session, or of the refusal to save to it
  startOverButton.hidden = true;
  if (recordId) {
    const answer = await ask("GET", `/records/${recordId}`);
    status.clear();
    showRecord(answer.body, flow, leave);
  } else if (code === 410) {
    showExpired(body, leave);
  } else if (code === 404 || code === 403) {
    const { content } = wizard;
    showUnknown(leave, () => create(content));
  } else if (code === 200 || code === 201) {
    startOverButton.hidden = false;
    wizard = new Wizard(flow, body, { recorded, incomplete, over: show });
  } else {
    status.refused({ status: code, body });
  }
}

function recorded(record) {
  wizard.stop();
  startOverButton.hidden = true;
  showRecord(record, flow, leave);
}

function incomplete(problem) {
  const titles = new Map(flow.steps.map(({ step, title }) => [step, title]));
  showIncomplete(problem, titles, (step, field) => wizard.go(step, field ?? ""));
}

/** Forgets the session and begins another. */
async function leave() {
  sessionId.forget();
  wizard = null;
  await create({});
}

async function startOver() {
  wizard.stop();
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  await ask("DELETE", sessionPath(sessionId.get()), { headers });
  await leave();
}

startOverButton.addEventListener("click", () => confirmation.showModal());
confirmation.addEventListener("close", () => {
  if (confirmation.returnValue === "delete") startOver();
  confirmation.returnValue = "";
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) wizard?.flush();
});
window.addEventListener("pagehide", () => wizard?.flush());
window.addEventListener("focus", () => wizard?.refresh());
sessionId.onChange((id) => {
  if (id !== wizard?.sessionId) location.reload();
});

showCalls();
flow = (await ask("GET", `/flows/${FLOW}`)).body;
await open();
