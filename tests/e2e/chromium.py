"""Headless Chromium over its DevTools protocol: through a pipe, so that nothing is installed.

with Chromium(folder) as browser:
    tab = browser.open("http://127.0.0.1:8000/")
    tab.until("document.title === 'Stepwell demo'")
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATH = shutil.which("chromium")

WAIT_SECONDS = 20.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes answers to 4, wherever our pipes are.
_WITH_PIPES = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

_UNTIL = """
new Promise((resolve) => {
  const check = () => {
    let found = null;
    try { found = (%s); } catch { /* the page is not that far */ }
    if (found) resolve(true); else setTimeout(check, 20);
  };
  check();
})
"""


class Failed(AssertionError):
    """A command failed, or what was waited for did not come."""


class Chromium:
    """A browser with an empty profile in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids = 0
        self._received = b""
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        assert PATH
        for_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()
        command = [PATH, *_FLAGS, f"--user-data-dir={self._folder / 'profile'}", "about:blank"]
        with (self._folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WITH_PIPES, str(for_browser), str(from_browser), *command],
                pass_fds=(for_browser, from_browser),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(for_browser)
        os.close(from_browser)
        return self

    def __exit__(self, *_: object) -> None:
        # Without its pipe the browser ends.
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def profile(self) -> str:
        """A set of cookies and storage of its own; tabs opened with it share them."""
        context: str = self.call("Target.createBrowserContext")["browserContextId"]
        return context

    def open(self, url: str, profile: str) -> Tab:
        """A new tab, in front, once its page has loaded."""
        made = {"url": "about:blank", "browserContextId": profile}
        target = self.call("Target.createTarget", made)["targetId"]
        attached = {"targetId": target, "flatten": True}
        tab = Tab(self, self.call("Target.attachToTarget", attached)["sessionId"])
        tab.call("Page.enable")
        tab.call("Runtime.enable")
        tab.call("Log.enable")
        tab.to_front()
        tab.navigate(url)
        return tab

    def close(self, profile: str) -> None:
        """Close all tabs of a profile and forget it."""
        self.call("Target.disposeBrowserContext", {"browserContextId": profile})

    def call(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._ids += 1
        number = self._ids
        message = {"id": number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self.wait(lambda each: each.get("id") == number, method)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def wait(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Take the first message of that kind, of those already here or yet to come."""
        deadline = time.monotonic() + WAIT_SECONDS
        seen = 0
        while True:
            for index in range(seen, len(self.messages)):
                if wanted(self.messages[index]):
                    return self.messages.pop(index)
            seen = len(self.messages)
            self._receive(deadline, what)

    def _receive(self, deadline: float, what: str) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._answers], [], [], left)[0]:
            raise Failed(f"Not within {WAIT_SECONDS:g} s: {what}")
        part = os.read(self._answers, 1 << 20)
        if not part:
            raise Failed(f"Chromium ended: {(self._folder / 'chromium.log').read_text()[-2000:]}")
        *complete, self._received = (self._received + part).split(b"\0")
        self.messages += map(json.loads, complete)


class Tab:
    """One tab. ``script`` is JavaScript throughout."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a DevTools command to the tab."""
        return self._browser.call(method, parameters, self._session)

    def navigate(self, url: str) -> None:
        """Load a page, to the end."""
        self._loading("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again, to the end."""
        self._loading("Page.reload")

    def _loading(self, method: str, **parameters: Any) -> None:
        self._browser.messages[:] = [m for m in self._browser.messages if not self._loaded(m)]
        self.call(method, **parameters)
        self._browser.wait(self._loaded, f"{method}: the page")

    def _loaded(self, message: dict[str, Any]) -> bool:
        about_me = message.get("sessionId") == self._session
        return about_me and message.get("method") == "Page.loadEventFired"

    def to_front(self) -> None:
        """What a click on the tab does."""
        self.call("Page.bringToFront")

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise Failed(f"{script}: {answer['exceptionDetails']['exception']['description']}")
        return answer["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        try:
            self.run(_UNTIL % script)
        except Failed as error:
            page = self.run("document.body.innerText")
            raise Failed(f"{script}\n{error}\n--- the page says\n{page}") from None

    def type(self, selector: str, text: str) -> None:
        """Put text in the place of what a field holds, as a person would."""
        self.until(f"document.querySelector({json.dumps(selector)})")
        self.run(f"""(() => {{
          const it = document.querySelector({json.dumps(selector)});
          it.focus();
          it.select();
        }})()""")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.press("Delete", 46)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key; ``code`` is its Windows virtual key code."""
        it = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **it)
        self.call("Input.dispatchKeyEvent", type="keyUp", **it)

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(image["data"]))

    def complaints(self) -> list[str]:
        """What the page has written to its console, and what it threw."""
        mine = [m for m in self._browser.messages if m.get("sessionId") == self._session]
        thrown = [
            m["params"]["exceptionDetails"]["exception"].get("description", "?")
            for m in mine
            if m.get("method") == "Runtime.exceptionThrown"
        ]
        logged = [
            f"{m['params']['entry']['text']} {m['params']['entry'].get('url', '')}"
            for m in mine
            if m.get("method") == "Log.entryAdded"
        ]
        return thrown + logged
