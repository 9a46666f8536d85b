// The one place that calls the API.

const BASE = "/api";
const TIMEOUT_MS = 15_000;
const KEEPALIVE_LIMIT = 60_000; // browsers allow 64 KiB in all

/** No answer came: offline, the server is down, or it took too long. */
export class Unreachable extends Error {}

const observers = [];

/** Has `observer({ method, path, status, ms })` called after every call; status 0: no answer. */
export function observe(observer) {
  observers.push(observer);
}

/** Calls the API. Any answer is a result, errors included: { status, headers, body, ok }. */
export async function call(method, path, { body, headers = {} } = {}) {
  const started = performance.now();
  const tell = (status) => {
    const ms = Math.round(performance.now() - started);
    for (const observer of observers) observer({ method, path, status, ms });
  };
  const text = body && JSON.stringify(body);
  try {
    const response = await fetch(BASE + path, {
      method,
      body: text,
      headers: { ...(text && { "Content-Type": "application/json" }), ...headers },
      // A save outlives the page that sends it.
      keepalive: method !== "GET" && (text ?? "").length < KEEPALIVE_LIMIT,
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const content = await response.text();
    tell(response.status);
    return { status: response.status, ok: response.ok, headers: response.headers, body: parse(content) };
  } catch (error) {
    tell(0);
    throw new Unreachable(error.message);
  }
}

export function sessionPath(sessionId) {
  return `/sessions/${encodeURIComponent(sessionId)}`;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // nothing, or something that is not from the API
  }
}
