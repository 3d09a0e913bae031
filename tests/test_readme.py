"""The tables and the lines in recipes come from measured results: `python recipes/tables.py write` writes them."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from pages import PAGES

import kzoo
from kzoo.cli import main
from kzoo.data.options import DataOptions
from kzoo.training.suggestions import suggested_preset
from kzoo.zoo import results
from kzoo.zoo.registry import AUTO, is_general
from kzoo.zoo.results.suggest import first, order

ROOT = Path(__file__).parents[1]
RECIPES = sorted(
    p
    for p in (ROOT / "recipes").rglob("*.py")
    if p.name not in ("measure.py", "tables.py", "weights.py")
)


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(ROOT / "recipes" / "tables.py"))


def test_tables_and_recipes_have_the_measured_results(tables):
    wanted = tables["wanted"]()
    behind = [
        str(f.relative_to(ROOT))
        for f, text in wanted.items()
        if not f.is_file() or f.read_text("utf-8") != text
    ]
    behind += [
        str(f.relative_to(ROOT)) for f in (ROOT / "results").glob("*.csv") if f not in wanted
    ]
    assert behind == [], (
        "run: python recipes/tables.py write, and remove files of data sets without results"
    )


def test_suggestions_are_scored_on_data_sets_that_the_order_does_not_know(tables, capsys):
    rows = {row["data"]: row for row in tables["left_out"]()}
    for row in rows.values():
        names = [
            r["preset"]
            for r in results.rows()
            if r["data"] == row["data"] and is_general(r["preset"])
        ]
        assert (
            row["first"]["preset"]
            == order(row["task"], sorted(set(names)), row["rows"], without=row["data"])[0].preset
        )
        assert (
            row["regret"] >= 0
            and 1 <= row["rank"] <= row["presets"]
            and (row["regret"] == 0) == (row["rank"] == 1)
        )
    # breast_cancer: 96.1 % of tabular_tabm, and 97.0 % of tabular_fnn, which is best there.
    assert (rows["breast_cancer"]["first"]["preset"], rows["breast_cancer"]["rank"]) == (
        "tabular_tabm",
        3,
    )
    assert rows["breast_cancer"]["regret"] == pytest.approx(0.88, abs=0.01)
    tables["print_order"](None)
    assert_mentions(
        capsys.readouterr().out,
        "of similar size only",
        "of the same task only",
        "among the best two",
    )


def test_the_examples_name_presets_that_exist():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"kzoo (?:train|show) (\w+)(?![\w./])", text))
    named |= set(re.findall(r"(?<!baselines\.)(?:build|train)\(\"(\w+)\"", text))
    assert named >= {"digits_cnn", "image_cnn", "tabular_fnn", "text_cnn", "cifar_cnn"}
    assert [
        name for name in named - {"NAME", "PRESET", AUTO} if name not in kzoo.list_presets()
    ] == []


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_table_starts_with_the_presets_that_check_and_list_recommend(page, capsys):
    """The same rule chooses all three."""
    rows = re.findall(
        r"^\| [^|]+ \| `(\w+)`[^|]* \|", (ROOT / page).read_text(encoding="utf-8"), re.M
    )
    tasks = (
        "tabular_classification",
        "tabular_regression",
        "image_classification",
        "text_classification",
        "language_modeling",
        "forecasting",
    )
    general = [name for name in kzoo.list_presets() if is_general(name)]
    firsts = {first(task, general, kzoo.list_presets()) for task in tasks}
    assert set(rows) == firsts | {"iris_fnn"}  # a preset for teaching
    for data, name in ("telco_customer_churn.csv", "tabular_tabm"), ("ETTh1.csv", "series_linear"):
        assert main(["list", "--data", data]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert_mentions(lines[-1], name)  # the preset for other data
        # the first with a network
        assert name in next(line for line in lines[2:] if "(" not in line[:4])
    random = np.random.default_rng(0)
    # as many as of telco's
    frame = pd.DataFrame({"a": random.normal(size=5_000), "b": random.normal(size=5_000)})
    frame["y"] = np.where(frame["a"] + random.normal(size=5_000) > 0, "yes", "no")
    assert kzoo.check(frame, target="y", deep=False).presets[0]["preset"] == rows[0]
    # the one of `kzoo train auto`
    assert suggested_preset(frame, DataOptions(target="y"))[0] == rows[0]


def test_every_recipe_has_its_row_and_every_row_its_recipe():
    text = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8").split("## Measured")[0]
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    files = {p.relative_to(ROOT / "recipes").as_posix() for p in RECIPES}
    # a folder named as a whole
    folders = {name for name in files if f"`{name.split('/')[0]}/`" in text}
    assert named - files == set()
    assert files - named - folders == set()


def test_a_new_line_replaces_the_earlier_line(tables):
    with_line = tables["with_line"]
    script = '"""A recipe.\n\npython recipes/a.py    runs it\n"""\n\nimport kzoo\n'
    once = with_line(script, "Measured: 99%.")
    assert (
        once
        == '"""A recipe.\n\npython recipes/a.py    runs it\n\nMeasured: 99%.\n"""\n\nimport kzoo\n'
    )
    assert with_line(once, "Measured: 98%.") == once.replace("99%", "98%")
    assert with_line(once, None) == script
