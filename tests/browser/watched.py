"""Chromium whose pages are watched: whatever a hostile text would cause is a failure of the script.

A script gets its arguments as one JSON object: `address` of the console, `chromium`, and what it needs itself. It ends with 1
and says why if a page has opened a dialog, violated the policy, reported an error, or requested anything of another server.
"""

import json
import os
import re
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import sync_playwright

# One text, in the order in which it was written.
os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
sys.stdout.reconfigure(line_buffering=True)

LIGHT = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
DARK = {**LIGHT, "color_scheme": "dark"}
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "color_scheme": "light",
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
LOOKS = {"light": LIGHT, "dark": DARK, "phone": PHONE}

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # Off unless it is asked for.
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
# Of what differs between light and dark.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}
TIMEOUT_MS = 20_000
# Longer than the broker needs to be back.
BROKER_TIMEOUT_MS = 60_000
# How Chromium reports the status of a page that is meant to have it.
STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")

arguments = json.loads(sys.argv[1])
origin = f"http://{arguments['address']}"


class Watched:
    """A browser, and what went wrong in its pages."""

    def __init__(self, chromium):
        self.chromium = chromium
        self.complaints = []
        # Statuses of errors that the script asks for.
        self.expected = set()

    def context(self, look=LIGHT):
        """Returns a new context, which shares no cookies with others."""
        context = self.chromium.new_context(base_url=origin, **look)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("page", self.watch)
        context.on("request", self.request)
        return context

    def watch(self, page):
        def dialog(opened):
            self.complain(page, f"dialog: {opened.message}")
            opened.dismiss()

        page.on("dialog", dialog)
        page.on("pageerror", lambda error: self.complain(page, f"error: {error}"))
        page.on("console", lambda message: self.console(page, message))
        page.on("popup", lambda popup: self.complain(page, f"window: {popup.url}"))
        page.on("download", lambda download: self.complain(page, f"download: {download.url}"))

    def console(self, page, message):
        status = STATUS.match(message.text)
        if message.type in ("error", "warning") and not (status and int(status[1]) in self.expected):
            self.complain(page, f"{message.type}: {message.text}")

    def request(self, request):
        if not request.url.startswith(f"{origin}/"):
            self.complaints.append(f"request elsewhere: {request.url}")

    def complain(self, page, text):
        self.complaints.append(f"{page.url}: {text}")

    def check(self, is_right, text):
        """Notes a failure, and goes on: one run shows them all."""
        if not is_right:
            self.complaints.append(text)


def ask(request):
    """Waits until the test has done something outside the browser."""
    print(f"request: {request}")
    answer = sys.stdin.readline().strip()
    assert answer == "done", f"{request}: {answer}"


def settle(page):
    """Waits until the parts that are loaded after the page are there."""
    page.wait_for_function(
        """() => document.readyState === 'complete' && !document.querySelector('.htmx-request')
            && ![...document.querySelectorAll('main p:not(:has(*))')].some(waits => waits.textContent.endsWith(' …'))"""
    )


def open_page(page, path):
    """Opens a page and waits until all of it is there. Returns the status."""
    response = page.goto(path)
    settle(page)
    return response.status


def axe(page, rules=RULES):
    """Returns what axe-core finds, one text for each element."""
    # Sent by the debugger: the policy of the page stays in force for everything else.
    page.evaluate(AXE + ";0")
    found = page.evaluate("rules => axe.run(document, rules)", rules)
    return [
        f"axe: {rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:200]}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]


def picture(page, name):
    """Writes a picture of a page into the folder SCREENSHOTS, if there is one."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


@contextmanager
def browser():
    """Starts Chromium, and ends the script with a failure if a page did what it must not."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=arguments["chromium"],
            # A container has no sandbox of its own to offer, and little shared memory.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        watched = Watched(chromium)
        try:
            yield watched
        except Exception:
            traceback.print_exc()
            for context in chromium.contexts:
                for page in context.pages:
                    print(f"--- {page.url}\n{page.content()[:20_000]}")
            watched.complaints.append("the script did not end")
        finally:
            chromium.close()
    print("\n".join(dict.fromkeys(watched.complaints)))
    sys.exit(1 if watched.complaints else 0)
