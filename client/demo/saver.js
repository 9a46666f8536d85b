// Brings every change to the API, in order, whatever happens to the network in between.

import { call, sessionPath } from "./api.js";
import { persistently } from "./retry.js";
import { Unsent } from "./storage.js";

const TYPING_PAUSE_MS = 600;

/**
 * Collects changes and sends them as one PATCH at a time. Reports through `on`:
 *   saving()                 something is not saved yet
 *   saved(session, fields)   what the API answered, and the fields it was sent
 *   waiting(answer)          it will try again; answer null: nobody is there
 *   refused(answer, fields)  the API will not take this
 *   over(answer)             the session is gone: 404, 409 finalized, 410
 */
export class Saver {
  #path;
  #document;
  #on;
  #unsent;
  #next = empty();
  #sending = null;
  #due = false;
  #waiting = false;
  #stopped = false;
  #timer;
  #settled = [];

  constructor(session, documentName, on) {
    this.#path = sessionPath(session.sessionId);
    this.#document = documentName;
    this.#on = on;
    this.#unsent = new Unsent(session.sessionId);
    Object.assign(this.#next.fields, this.#unsent.fields());
  }

  /** Fields that wait or are on their way, with their values. */
  get pending() {
    return { ...this.#sending?.fields, ...this.#next.fields };
  }

  /** Saves soon: a person who types is not interrupted. */
  change(field, value, step) {
    this.#next.fields[field] = value;
    this.#next.step = step;
    this.#unsent.add(field, value);
    if (!this.#waiting) this.#on.saving();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), TYPING_PAUSE_MS);
  }

  /** Notes where the person is, and that they say a step is complete. */
  move(step, completed = null) {
    this.#next.step = step;
    if (completed !== null) this.#next.completed.push(completed);
  }

  /** Saves now. Resolves to true when all is saved, to false when that has to wait. */
  flush() {
    clearTimeout(this.#timer);
    this.#due = true;
    const settled = new Promise((resolve) => this.#settled.push(resolve));
    if (this.#waiting) this.#settle(false);
    else if (!this.#sending) this.#run();
    return settled;
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run() {
    while (this.#due && !this.#stopped && !isEmpty(this.#next)) {
      this.#due = false;
      this.#sending = this.#next;
      this.#next = empty();
      this.#on.saving();
      const answer = await this.#send(this.#sending);
      this.#waiting = false;
      this.#finish(answer, this.#sending.fields);
    }
    this.#due = false;
    this.#settle(!this.#stopped);
  }

  #send({ fields, step, completed }) {
    const body = {};
    if (Object.keys(fields).length) body[this.#document] = fields;
    if (step !== null) body.currentStep = step;
    if (completed.length) body.completedSteps = completed;
    // The same key for every try: if an answer is lost, the save is still applied once.
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    return persistently(
      () => call("PATCH", this.#path, { body, headers }),
      (answer) => {
        this.#waiting = true;
        this.#on.waiting(answer);
        this.#settle(false);
      },
    );
  }

  #finish(answer, fields) {
    this.#sending = null;
    if (this.#stopped) return;
    if (answer.ok) {
      this.#unsent.confirm(fields);
      this.#on.saved(answer.body, fields);
    } else if ([403, 404, 409, 410].includes(answer.status)) {
      this.stop();
      this.#on.over(answer);
    } else {
      this.#on.refused(answer, fields);
    }
  }

  #settle(saved) {
    for (const resolve of this.#settled.splice(0)) resolve(saved);
  }
}

function empty() {
  return { fields: {}, step: null, completed: [] };
}

function isEmpty({ fields, step, completed }) {
  return !Object.keys(fields).length && step === null && !completed.length;
}
