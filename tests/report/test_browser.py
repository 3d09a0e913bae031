"""Reports opened in a browser: drawn, silent, alone, as wide as the screen, light and dark."""

import html
import json
import re
import shutil
import subprocess

import pytest
from small_reports import KINDS

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Runs in the page, before anything else of it.
WATCH = """<script>
const messages = window.messages = [];
const say = (kind, detail) => messages.push(kind + ": " + detail);
addEventListener("error", e => say("error", e.message || e.target.src || e.target.outerHTML), true);
addEventListener("unhandledrejection", e => say("rejection", e.reason));
addEventListener("securitypolicyviolation", e => say("refused by the policy", e.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => say(level, words.join(" "));
</script>"""
# Runs around the page, which is in frames as wide as a telephone and a screen; writes down its measurements.
MEASURE = """<script>
function luminance(color) {
  const parts = color.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255);
  const [r, g, b] = parts.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
function ground(element) {
  for (; element; element = element.parentElement) {
    const color = element.ownerDocument.defaultView.getComputedStyle(element).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return color;
  }
  return "rgb(255, 255, 255)";
}
function look(frame) {
  const view = frame.contentWindow, page = view.document;
  const boxes = [...page.querySelectorAll("svg")].map(s => s.getBoundingClientRect());
  const shade = (e, property) => contrast(view.getComputedStyle(e)[property], ground(e));
  return {
    messages: view.messages,
    requests: view.performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith("data:")),
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    ground: luminance(view.getComputedStyle(page.body).backgroundColor),
    width: page.documentElement.clientWidth,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    aside: [...page.querySelectorAll("*")].filter(e => e.scrollWidth > e.clientWidth + 1 &&
      view.getComputedStyle(e).overflowX === "auto").map(e => e.textContent.slice(0, 60)),
    cards: page.querySelectorAll(".card").length,
    images: page.images.length,
    empty_images: [...page.images].filter(i => !i.complete || !i.naturalWidth || !i.offsetWidth).length,
    pictures: boxes.length,
    empty_pictures: boxes.filter(b => b.width < 100 || b.height < 60).length,
    shapes: [...page.querySelectorAll("svg")].map(s => s.querySelectorAll("path, text, image, use").length),
    text: Math.min(...[...page.querySelectorAll("h1, h2, p, td, th, dd, b, figcaption")].map(e => shade(e, "color"))),
    axes: Math.min(9, ...[...page.querySelectorAll(".picture:not(.card) svg text")].map(e => shade(e, "fill"))),
    narrow: [...page.querySelectorAll(".sections > .narrow")].map(e => e.getBoundingClientRect().top),
    fold: [...page.querySelectorAll("details")].map(d => d.open),
  };
}
addEventListener("load", () => {
  document.body.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look));
});
</script>"""
AROUND = f"""<!DOCTYPE html><html><head><meta charset="utf-8">
<style>:root {{ color-scheme: light dark }} iframe {{ border: 0; height: 900px }}</style>
{MEASURE}</head><body>"""
PHONE, SCREEN = 375, 1200


@pytest.fixture(scope="session")
def browser():
    for name in NAMES:
        path = shutil.which(name)
        # Some systems have a script of that name that only prints how to install it.
        if (
            path
            and subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
        ):
            return path
    pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")


@pytest.fixture
def opened(browser, tmp_path):
    """Open pages on a phone and on a screen; return the measurements of each."""

    def look(sources, *, dark=False):
        frames = []
        for source in sources:
            assert source.count("<head>") == 1
            source = source.replace(
                "default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'"
            )
            source = html.escape(source.replace("<head>", f"<head>{WATCH}"))
            frames += [
                f'<iframe style="width: {width}px" srcdoc="{source}"></iframe>'
                for width in (PHONE, SCREEN)
            ]
        around = tmp_path / "around.html"
        around.write_text(AROUND + "".join(frames), encoding="utf-8")
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        words = [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            scheme,
        ]
        words += [
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        words += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", around.as_uri()]
        done = subprocess.run(words, capture_output=True, timeout=120, encoding="utf-8")
        body = re.search("<body>(.*)</body>", done.stdout, re.DOTALL)
        assert body, done.stderr[-2000:]
        views = json.loads(html.unescape(body[1]))
        assert [seen["width"] for seen in views] == [PHONE, SCREEN] * len(sources)
        return list(zip(views[::2], views[1::2], strict=True))

    return look


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_report_is_drawn_silent_alone_and_fits(opened, report_of, request, dark):
    sources = [
        report_of(request.getfixturevalue(f"{kind}_run")).read_text(encoding="utf-8")
        for kind in KINDS
    ]
    for kind, views in zip(KINDS, opened(sources, dark=dark), strict=True):
        for seen in views:
            where = f"{kind}, {seen['width']} pixels wide: {seen}"
            assert seen["messages"] == [] and seen["requests"] == [], where
            assert seen["dark"] is dark and (
                seen["ground"] < 0.05 if dark else seen["ground"] > 0.95
            ), where
            assert seen["overflow"] <= 0 and seen["cards"] == 0, where
            assert seen["width"] != PHONE or seen["aside"] == [], where
            assert seen["empty_images"] == seen["empty_pictures"] == 0, where
            assert seen["pictures"] >= 2 and min(seen["shapes"]) > 10, where
            assert (seen["images"] > 0) is (kind in ("digits", "photo")), where
            assert seen["text"] >= 4.5 and seen["axes"] >= 3, where
            assert seen["fold"] and not any(seen["fold"]), where
            if kind == "table":  # the small figures of two classes share a row where there is room
                confusion, each, *_ = seen["narrow"]
                assert (confusion == each) is (seen["width"] == SCREEN), where


def test_the_measurements_show_the_faults_of_a_bad_page(opened):
    bad = """<!DOCTYPE html><html><head><style>body { color: #777; background: #777 }</style></head><body>
    <p>grey</p><img src="http://127.0.0.1:9/a.png"><svg style="width: 1px" viewBox="0 0 1 1"></svg>
    <div style="width: 600px">wide</div><script>console.error("no"); nothing()</script></body></html>"""
    ((phone, screen),) = opened([bad])
    assert any("127.0.0.1" in name for name in phone["requests"])
    messages = " ".join(phone["messages"])
    assert "error: no" in messages and "nothing is not defined" in messages
    assert phone["overflow"] > 200 and screen["overflow"] <= 0
    assert phone["empty_images"] == phone["empty_pictures"] == 1
    assert phone["text"] < 1.1
