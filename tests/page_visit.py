"""A browser on the page of a server: it fills in inputs, reads answers, and records errors and requests."""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "kzoo" / "serve" / "page"
_TEXT = re.compile(r'^  (?:"([^"]+)"|(\w+)): \["((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\],$', re.M)
STRINGS = {
    quoted or name: (english, chinese)
    for quoted, name, english, chinese in _TEXT.findall((PAGE / "strings.js").read_text("utf-8"))
}

ANSWERED = """() => document.querySelector('.answer:not(.old) .shown > :not(.empty)')
  && !document.querySelector('form[aria-busy]')"""
WRONG = "() => document.querySelector('.error:not(:empty)')"


def text(key, language="en", **values):
    """Return a text of the page: whatever its wording, tests name it by its key."""
    return STRINGS[key][("en", "zh").index(language)].format(**values)


@contextmanager
def browsing():
    """Start Chromium, or skip where there is none."""
    start = pytest.importorskip("playwright.sync_api").sync_playwright
    program = (
        os.environ.get("KZOO_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if program is None:
        pytest.skip("there is no Chromium; KZOO_CHROMIUM names one")
    with start() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A tab.

    Args:
        page: Playwright's.
        url: of the server.
    """

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.console = []
        self.requests = []
        page.on("console", lambda message: self.console.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.console.append(("error", str(error))))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, name=""):
        """Show a model's page anew."""
        self.page.goto(f"{self.url}/#{name}")
        self.page.reload()  # a new address after the # is no new page
        self.page.wait_for_selector(".ask, .token")
        return self.page

    def way(self, key):
        """Choose a way of input, by the key of its text."""
        self.page.get_by_role("radio", name=text(key), exact=True).check()

    def click(self, key="ask", language="en"):
        """Click the button with a text, by its key."""
        self.page.get_by_role("button", name=text(key, language), exact=True).click()

    def answer(self):
        """Return the text of the answer, once it is there."""
        self.page.wait_for_function(ANSWERED)
        assert self.page.locator(".error").all_inner_texts() in ([""], ["", ""]), self.page.locator(
            ".error"
        ).all()
        return self.page.locator(".shown").inner_text()

    def error(self):
        """Return the line of the error, once it is there; then no answer is shown."""
        self.page.wait_for_function(WRONG)
        (line,) = [line for line in self.page.locator(".error").all_inner_texts() if line]
        assert (
            "\n" not in line
            and not self.page.locator(".shown .bars, .shown table, .shown svg").count()
        )
        return line

    def status(self):
        """Return the text of the answer for a screen reader."""
        return self.page.locator(".answer .unseen[role=status]").inner_text()

    def draw(self, lines):
        """Draw lines of points, in shares of the pad."""
        self.page.locator("canvas.pad").scroll_into_view_if_needed()
        box = self.page.locator("canvas.pad").bounding_box()
        for line in lines:
            for number, (x, y) in enumerate(line):
                self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if not number:
                    self.page.mouse.down()
            self.page.mouse.up()

    def behaved(self, *, refused=False):
        """The browser reported no error, and sent no request to another server.

        Args:
            refused: the server was meant to refuse something, which a browser reports by itself.
        """
        faults = [message for kind, message in self.console if kind in ("error", "warning")]
        if refused:
            faults = [
                message for message in faults if not message.startswith("Failed to load resource")
            ]
        assert not faults, faults
        assert all(url.startswith((self.url, "blob:")) for url in self.requests), self.requests


TRANSFER = """([selector, event, name, type, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const at = document.querySelector(selector);
  const made = event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true })
    : new DragEvent(event, { dataTransfer: files, bubbles: true, cancelable: true });
  at.dispatchEvent(made);
}"""


def transfer(page, selector, event, name, media, content):
    """Drop or paste a file, by the event that a browser sends to a page."""
    page.evaluate(TRANSFER, [selector, event, name, media, list(content)])
