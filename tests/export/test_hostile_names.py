"""Hostile names of classes, columns and files are shown as they are: nothing runs, and no markup breaks."""

import csv
import html
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import kzoo
from kzoo.evaluation import wrong_labels
from kzoo.export.card import card
from tests.export.hostile_names import NAMES, RAN

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HARMLESS = tuple(f"name{n}" for n in range(len(NAMES)))


def drawn(page, folder):
    """Return the document of a page after its scripts, handlers and images had their turn."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    words = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--virtual-time-budget=2000",
    ]
    words += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    return subprocess.run(words, capture_output=True, timeout=120, encoding="utf-8").stdout


def tags(document):
    return Counter(re.findall(r"<([a-z0-9]+)[\s>/]", document))


def suspects_page(names, folder):
    """Return the page of suspects of a table with these names of columns, classes and of the file."""
    file = folder / f"{names[4].replace('/', '')}.csv"
    columns = list(dict.fromkeys(" ".join(name.split()) for name in names))
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*columns, "target"])
        for n in range(12 * len(names)):
            writer.writerow([*(n % 7 + k for k in range(len(columns))), names[n % len(names)]])
    data = kzoo.load_data(file, target="target")
    suspects = [
        wrong_labels.Suspect(
            row=n,
            key="k",
            label=name,
            suggestion=name,
            rank=n,
            why=name,
            input=name,
            cells=[name] * len(data.feature_names),
        )
        for n, name in enumerate(names, 1)
    ]
    found = wrong_labels.WrongLabels(
        suspects=suspects,
        rows=len(names),
        noise=0.1,
        path=folder / "suspects.csv",
        page=folder / "suspects.html",
        ranking=np.arange(3),
        order=np.arange(3),
        labels=np.arange(3),
        probabilities=np.ones((3, 2)),
    )
    return wrong_labels._page(found, data)


def test_the_page_of_suspects_shows_hostile_names(tmp_path):
    assert len(NAMES) >= 40
    (tmp_path / "hostile").mkdir(), (tmp_path / "harmless").mkdir()
    document = drawn(suspects_page(NAMES, tmp_path / "hostile"), tmp_path / "hostile")
    expected = drawn(suspects_page(HARMLESS, tmp_path / "harmless"), tmp_path / "harmless")
    assert "data-ran" not in document.split(">", 2)[1] and tags(document) == tags(expected)
    shown = html.unescape(document)
    assert all(name in shown for name in NAMES if name.isprintable())


def card_of(manifest, names):
    data = dict(manifest.data) | {"name": names[4]}
    exports = {
        key: replace(entry, status="failed", error=names[0])
        for key, entry in manifest.exports.items()
    }
    manifest = replace(manifest, name=names[0], labels=list(names[:20]), data=data, exports=exports)
    output = dict(manifest.outputs[0]) | {"kind": "probabilities"}
    parts = (names[:20], names[20:40], names[-4:])
    return "\n\n".join(
        card(replace(manifest, labels=list(part), outputs=[output])) for part in parts
    )


def test_a_model_card_shows_hostile_names(digits_exported, tmp_path):
    markdown = (
        pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    )
    page, expected = (
        markdown.render(card_of(digits_exported.manifest, names)) for names in (NAMES, HARMLESS)
    )
    assert tags(page) == tags(expected)
    document = drawn(f"<!doctype html><html><body>{page}</body></html>", tmp_path)
    assert "data-ran" not in document.split("<head", 1)[0]
    shown = html.unescape(page)
    assert all(name in shown for name in NAMES if name.isprintable())
    assert RAN in shown
