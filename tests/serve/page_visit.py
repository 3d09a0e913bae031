"""A browser on the page of a server: what it is given, what it shows, and what it must never do."""

import os
import shutil
from contextlib import contextmanager

import pytest

ANSWERED = """() => document.querySelector('.answer:not(.old) .shown > :not(.empty)')
  && !document.querySelector('form[aria-busy]')"""
WRONG = "() => document.querySelector('.error:not(:empty)')"


@contextmanager
def browsing():
    """Start Chromium, or skip where there is none."""
    start = pytest.importorskip("playwright.sync_api").sync_playwright
    program = os.environ.get("KZOO_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
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
        self.page, self.url, self.said, self.asked = page, url, [], []
        page.on("console", lambda message: self.said.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.said.append(("error", str(error))))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, name=""):
        """Show a model's page anew."""
        self.page.goto(f"{self.url}/#{name}")
        self.page.reload()  # a new address after the # is no new page
        self.page.wait_for_selector(".ask, .token")
        return self.page

    def way(self, name):
        """Choose how the input is given."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def ask(self, name="Ask"):
        self.page.get_by_role("button", name=name, exact=True).click()

    def answer(self):
        """Return the text of the answer, once it is there."""
        self.page.wait_for_function(ANSWERED)
        assert self.page.locator(".error").all_inner_texts() in ([""], ["", ""]), self.page.locator(".error").all()
        return self.page.locator(".shown").inner_text()

    def error(self):
        """Return the one line that says what is wrong, once it is there; then there is no answer beside it."""
        self.page.wait_for_function(WRONG)
        (line,) = [text for text in self.page.locator(".error").all_inner_texts() if text]
        assert "\n" not in line and not self.page.locator(".shown .bars, .shown table, .shown svg").count()
        return line

    def status(self):
        """Return what a screen reader is told of the answer."""
        return self.page.locator(".answer [role=status]").inner_text()

    def draw(self, lines):
        """Draw lines of points, given in shares of the pad."""
        self.page.locator("canvas.pad").scroll_into_view_if_needed()
        box = self.page.locator("canvas.pad").bounding_box()
        for line in lines:
            for place, (x, y) in enumerate(line):
                self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if not place:
                    self.page.mouse.down()
            self.page.mouse.up()

    def behaved(self, *, refused=False):
        """The browser found no fault, and nobody else was asked.

        Args:
            refused: the server was meant to refuse something, which a browser reports by itself.
        """
        own = [text for kind, text in self.said if kind in ("error", "warning")]
        if refused:
            own = [text for text in own if not text.startswith("Failed to load resource")]
        assert not own
        assert all(url.startswith((self.url, "blob:")) for url in self.asked), self.asked


FILES_GIVEN = """([selector, event, name, type, bytes]) => {
  const given = new DataTransfer();
  given.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const at = document.querySelector(selector);
  const made = event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: given, bubbles: true })
    : new DragEvent(event, { dataTransfer: given, bubbles: true, cancelable: true });
  at.dispatchEvent(made);
}"""


def give(page, selector, event, name, media, content):
    """Drop or paste a file, as a browser tells a page of it."""
    page.evaluate(FILES_GIVEN, [selector, event, name, media, list(content)])
