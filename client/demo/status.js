// The line under the form that says where the work is.

const line = document.querySelector("#status");

function say(kind, text) {
  line.dataset.kind = kind;
  if (line.textContent !== text) line.textContent = text;
}

const until = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });
const clockTime = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const status = {
  clear: () => say("", ""),
  fresh: ({ expiresAt }) =>
    say("fresh", `A new session, kept until ${until.format(new Date(expiresAt))}. Each save extends it.`),
  saving: () => say("saving", "Saving …"),
  saved: ({ lastActivity, version }) =>
    say("saved", `Saved ${clockTime.format(new Date(lastActivity))}, version ${version}`),
  waiting: (answer) =>
    say(
      "waiting",
      answer
        ? `The server is busy (${answer.status}): will retry. Go on typing, nothing is lost.`
        : "Offline: will retry. Go on typing, nothing is lost.",
    ),
  refused: ({ status: code, body }) =>
    say("refused", `Not saved (${code}): ${body?.detail ?? body?.title ?? "no reason given"}`),
};
