// One open session: its steps, its values, and what the API says of them.

import { call, sessionPath } from "./api.js";
import { showPage } from "./dom.js";
import { StepForm } from "./form.js";
import { persistently } from "./retry.js";
import { Saver } from "./saver.js";
import { status } from "./status.js";
import { Steps } from "./steps.js";

export class Wizard {
  #flow;
  #session;
  #on;
  #saver;
  #steps;
  #form;
  #values;
  #errors = new Map(); // by field: { step, message }
  #step;
  #stopped = false;

  /** `on`: recorded(record), incomplete(problem), over(answer). */
  constructor(flow, session, on) {
    this.#flow = flow;
    this.#session = session;
    this.#on = on;
    this.#saver = new Saver(session, flow.document, {
      ...status,
      saved: (answer, fields) => this.#saved(answer, fields),
      refused: (answer, fields) => this.#refused(answer, fields),
      over: (answer) => this.#over(answer),
    });
    this.#values = { ...session[flow.document], ...this.#saver.pending };
    this.#steps = new Steps(flow.steps, (step) => this.go(step));
    if (session.version === 1) status.fresh(session);
    else status.saved(session);
    this.go(session.currentStep, null);
    this.#saver.flush();
    this.#validate();
  }

  get sessionId() {
    return this.#session.sessionId;
  }

  /** What a new session would need to go on from here. */
  get content() {
    const { completedSteps } = this.#session;
    return { [this.#flow.document]: this.#values, currentStep: this.#step, completedSteps };
  }

  /** Shows a step and brings the focus to its heading, or to a field. */
  go(step, field = "") {
    this.#step = step;
    this.#form = new StepForm(
      this.#flow.steps[step - 1],
      { isFirst: step === 1, isLast: step === this.#flow.steps.length },
      {
        input: (name, value) => this.#changed(name, value),
        leave: () => Object.keys(this.#saver.pending).length && this.#saver.flush(),
        submit: () => this.#next(),
        back: () => this.go(step - 1),
      },
    );
    this.#form.show(this.#values);
    this.#showErrors();
    showPage(this.#form.element);
    if (field !== null) this.#form.focusField(field);
    if (field !== null && step !== this.#session.currentStep) {
      this.#saver.move(step);
      this.#saver.flush();
    }
  }

  /** Takes over what other tabs have saved in the meantime. */
  async refresh() {
    if (this.#stopped) return;
    const headers = { "If-None-Match": `"${this.#session.version}"` };
    const answer = await call("GET", this.#path, { headers }).catch(() => null);
    if (answer?.status === 200 && answer.body.status === "active") {
      this.#merge(answer.body);
      this.#validate();
    } else if (answer?.status === 200 || [403, 404, 410].includes(answer?.status)) {
      this.#over(answer);
    }
  }

  flush() {
    return this.#saver.flush();
  }

  stop() {
    this.#stopped = true;
    this.#saver.stop();
    this.#steps.hide();
    status.clear();
  }

  get #path() {
    return sessionPath(this.#session.sessionId);
  }

  #changed(name, value) {
    this.#values[name] = value;
    this.#saver.change(name, value, this.#step);
  }

  #saved(session, fields) {
    const errors = new Map(session.errors.map((error) => [error.field, error]));
    for (const name of Object.keys(fields)) this.#note(name, errors.get(name));
    this.#merge(session);
    // An error may hang on another field of the step: the answer speaks of those sent only.
    const names = Object.keys(fields);
    const others = [...this.#errors].filter(([name, { step }]) => step === this.#step && !(name in fields));
    if (names.length && others.length) this.#validate();
  }

  #merge(session) {
    if (session.version < this.#session.version) return;
    this.#session = session;
    const pending = this.#saver.pending;
    this.#values = { ...session[this.#flow.document], ...pending };
    this.#form.show(this.#values);
    this.#showErrors();
    if (!Object.keys(pending).length) status.saved(session);
  }

  /** Asks what is wrong, and shows it for what was filled in: an empty form is not a mistake. */
  async #validate({ step = null, missingToo = false } = {}) {
    if (!missingToo && !Object.keys(this.#values).length) return;
    const { version } = this.#session;
    const body = step ? { step } : {};
    const answer = await call("POST", `${this.#path}/validate`, { body }).catch(() => null);
    if (!answer?.ok || this.#stopped) return;
    if (version !== this.#session.version) {
      await this.#validate({ step, missingToo }); // what it found may be of the past
      return;
    }
    const checked = new Set(answer.body.steps.map((report) => report.step));
    const old = this.#errors;
    this.#errors = new Map([...old].filter(([, error]) => !checked.has(error.step)));
    for (const error of answer.body.errors) {
      if (error.code !== "missing" || missingToo || old.has(error.field)) this.#note(error.field, error);
    }
    this.#showErrors();
  }

  #note(name, error) {
    if (error) this.#errors.set(name, error);
    else this.#errors.delete(name);
  }

  #showErrors() {
    this.#form.showErrors(new Map([...this.#errors].map(([name, { message }]) => [name, message])));
    this.#steps.show({
      current: this.#step,
      completed: this.#session.completedSteps,
      invalid: new Set([...this.#errors.values()].map(({ step }) => step)),
    });
  }

  async #next() {
    const step = this.#step;
    const isLast = step === this.#flow.steps.length;
    this.#saver.move(isLast ? step : step + 1, step);
    const isSaved = await this.#saver.flush();
    if (step !== this.#step) return;
    if (isSaved && !this.#session.completedSteps.includes(step)) {
      await this.#validate({ step, missingToo: true });
      this.#form.focusFirstError();
      this.#saver.move(step);
      this.#saver.flush();
    } else if (!isLast) {
      this.go(step + 1);
    } else if (isSaved) {
      await this.#finalize();
    }
  }

  async #finalize() {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const answer = await persistently(
      () => call("POST", `${this.#path}/finalize`, { headers }),
      status.waiting,
    );
    if (answer.ok) this.#on.recorded(answer.body);
    else if (answer.status === 422) this.#on.incomplete(answer.body);
    else this.#over(answer);
  }

  #refused(answer, fields) {
    const message = `Not saved: ${answer.body?.detail ?? answer.status}`;
    for (const name of Object.keys(fields)) this.#note(name, { step: this.#step, message });
    this.#showErrors();
    status.refused(answer);
  }

  #over(answer) {
    this.stop();
    this.#on.over(answer);
  }
}
