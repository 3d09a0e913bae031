"""The tables and the recipes' own lines come from what was measured: `python recipes/tables.py write` writes them."""

import re
import runpy
from pathlib import Path

import pytest
from pages import PAGES

import kzoo

ROOT = Path(__file__).parents[1]
RECIPES = sorted(p for p in (ROOT / "recipes").rglob("*.py") if p.name not in ("measure.py", "tables.py", "weights.py"))


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(ROOT / "recipes" / "tables.py"))


def test_tables_and_recipes_say_what_was_measured(tables):
    behind = [str(f.relative_to(ROOT)) for f, text in tables["wanted"]().items() if f.read_text("utf-8") != text]
    assert behind == [], "run: python recipes/tables.py write"


def test_the_examples_name_presets_that_exist():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"kzoo (?:train|show) (\w+)(?![\w./])", text))
    named |= set(re.findall(r"(?:build|train)\(\"(\w+)\"", text))
    assert named >= {"digits_cnn", "image_cnn", "tabular_fnn", "text_cnn", "cifar_cnn"}
    assert [name for name in named - {"NAME"} if name not in kzoo.list_presets()] == []


def test_every_recipe_has_its_row_and_every_row_its_recipe():
    text = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8").split("## Measured")[0]
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    there = {p.relative_to(ROOT / "recipes").as_posix() for p in RECIPES}
    folders = {name for name in there if f"`{name.split('/')[0]}/`" in text}  # a folder named as a whole
    assert named - there == set()
    assert there - named - folders == set()


def test_a_line_takes_the_place_of_an_earlier_one(tables):
    with_line = tables["with_line"]
    script = '"""A recipe.\n\npython recipes/a.py    runs it\n"""\n\nimport kzoo\n'
    once = with_line(script, "Measured: 99%.")
    assert once == '"""A recipe.\n\npython recipes/a.py    runs it\n\nMeasured: 99%.\n"""\n\nimport kzoo\n'
    assert with_line(once, "Measured: 98%.") == once.replace("99%", "98%")
    assert with_line(once, None) == script
