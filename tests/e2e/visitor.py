"""A person at the demo: what they type and press, and what they see."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.chromium import Chromium, Tab

SAVED = "document.querySelector('#status').dataset.kind === 'saved'"
WAITING = "document.querySelector('#status').dataset.kind === 'waiting'"
HEADING_HAS_FOCUS = "document.activeElement === document.querySelector('h1')"
SHOWN_ERRORS = "document.querySelectorAll('.error:not([hidden])').length"

STEPS: list[dict[str, str]] = [
    {"projectName": "Riverside School", "buildingType": "education", "squareFootage": "12000.50"},
    {"numberOfFloors": "3", "numberOfZones": "12", "projectLocation": "Riga, Latvia"},
    {"clientName": "Ada Lovelace", "clientEmail": "ada@example.com"},
    {"estimatedStartDate": "2027-03-01", "estimatedEndDate": "2028-08-31", "budget": "250000"},
]
CHOSEN = {"buildingType", "priority", "estimatedStartDate", "estimatedEndDate"}


class Visitor:
    """A person at one browser, with tabs that share what it remembers."""

    def __init__(self, browser: Chromium, url: str) -> None:
        self._browser = browser
        self._url = url
        self._tabs: list[Tab] = []
        self.profile = browser.profile()

    def open(self) -> Tab:
        """Open the demo in a tab of its own."""
        tab = self._browser.open(self._url, self.profile)
        self._tabs.append(tab)
        tab.until("document.querySelector('h1')")
        return tab

    def complaints(self) -> list[str]:
        """Give what the tabs' consoles say of faults."""
        return [complaint for tab in self._tabs for complaint in tab.complaints()]

    def leave(self) -> None:
        """Close the tabs; the demo must not have complained."""
        complaints = self.complaints()
        self._browser.close(self.profile)
        # Refusals and lost connections are logged by Chromium itself; the demo adds nothing.
        assert [it for it in complaints if not it.startswith("Failed to load resource")] == []


def field(name: str) -> str:
    """Give the selector of a field."""
    return f"[name={name}]"


def value(name: str) -> str:
    """Give the script that reads a field."""
    return f"document.querySelector('{field(name)}').value"


def error_of(name: str) -> str:
    """Give the script that reads what is said to be wrong with a field."""
    return f"document.querySelector('#field-{name}-error').textContent"


def fill(tab: Tab, name: str, text: str) -> None:
    """Type into a field, or choose its value."""
    if name in CHOSEN:
        tab.until(f"document.querySelector('{field(name)}')")
        tab.run(f"""(() => {{
          const it = document.querySelector('{field(name)}');
          it.focus();
          it.value = {json.dumps(text)};
          it.dispatchEvent(new Event('input', {{ bubbles: true }}));
        }})()""")
    else:
        tab.type(field(name), text)


def press(tab: Tab, label: str) -> None:
    """Press a button."""
    tab.run(f"""
        [...document.querySelectorAll('button')]
          .find(it => it.checkVisibility() && it.innerText === '{label}').click()
    """)


def choose_step(tab: Tab, number: int) -> None:
    """Go to a step by the list of them."""
    tab.run(f"document.querySelectorAll('#steps button')[{number - 1}].click()")


def finish_step(tab: Tab, number: int) -> None:
    """Fill in a step and go on."""
    for name, text in STEPS[number - 1].items():
        fill(tab, name, text)
    press(tab, "Finish" if number == len(STEPS) else "Next")


def stored(tab: Tab) -> dict[str, Any]:
    """Give the session as the server has it."""
    session: dict[str, Any] = tab.run(
        "fetch('/api/sessions/' + localStorage.getItem('stepwell.session')).then(it => it.json())"
    )
    return session
