// What this browser remembers, shared by its tabs: which session, and what was not saved yet.

const SESSION = "stepwell.session";
const CREATION = "stepwell.creation";
const UNSENT = "stepwell.unsent.";

export const sessionId = {
  get: () => localStorage.getItem(SESSION),
  set(id) {
    if (this.get() !== id) this.forget();
    localStorage.setItem(SESSION, id);
    localStorage.removeItem(CREATION);
  },
  forget() {
    localStorage.removeItem(UNSENT + this.get());
    localStorage.removeItem(SESSION);
  },
  /** Calls back with the id when another tab begins a session. */
  onChange(callback) {
    window.addEventListener("storage", ({ key, newValue }) => {
      if (key === SESSION && newValue) callback(newValue);
    });
  },
};

/** The Idempotency-Key of the next creation: tabs that open at once get the same session. */
export function creationKey() {
  const key = localStorage.getItem(CREATION) ?? crypto.randomUUID();
  localStorage.setItem(CREATION, key);
  return key;
}

/** Fields of one session that the API has not confirmed. */
export class Unsent {
  #key;

  constructor(id) {
    this.#key = UNSENT + id;
  }

  fields() {
    return JSON.parse(localStorage.getItem(this.#key) ?? "{}");
  }

  add(field, value) {
    this.#write({ ...this.fields(), [field]: value });
  }

  /** Forgets what was saved, unless a field has another value by now. */
  confirm(saved) {
    const left = Object.entries(this.fields()).filter(
      ([field, value]) => !(field in saved) || saved[field] !== value,
    );
    this.#write(Object.fromEntries(left));
  }

  #write(fields) {
    if (Object.keys(fields).length) localStorage.setItem(this.#key, JSON.stringify(fields));
    else localStorage.removeItem(this.#key);
  }
}
