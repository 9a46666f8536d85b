// Trying until there is an answer that counts.

import { Unreachable } from "./api.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/**
 * Repeats `attempt` until it is answered by something else than "try later" (429, 5xx). The pauses
 * double, vary, and end early when the network or the reader comes back. `onWait` gets the
 * answer, or null if there was none, before each pause.
 */
export async function persistently(attempt, onWait = () => {}) {
  for (let tries = 0; ; tries += 1) {
    const answer = await answerOf(attempt);
    if (answer && answer.status !== 429 && answer.status < 500) return answer;
    onWait(answer);
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries);
    const asked = Number(answer?.headers.get("Retry-After")) * 1000 || 0;
    await pause(Math.max(asked, longest * (0.5 + Math.random() / 2)));
  }
}

async function answerOf(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof Unreachable) return null;
    throw error;
  }
}

function pause(ms) {
  return new Promise((resolve) => {
    const events = ["online", "focus"];
    const end = () => {
      clearTimeout(timer);
      for (const name of events) window.removeEventListener(name, end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    for (const name of events) window.addEventListener(name, end);
  });
}
