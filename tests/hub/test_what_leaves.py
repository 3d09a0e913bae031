"""Eight models of data with many rare cells, in all formats: only those that a dry run lists were pushed."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hub.conftest import push
from PIL import Image
from shortcuts import undrawn

import kzoo
from kzoo.cli import main
from kzoo.hub.contents import FEWEST

SHORTEST = 8  # characters of a cell that is searched for
SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "zu", "pe"]


def name_of(random, length=5):
    return "".join(random.choice(SYLLABLES, length)).capitalize()


def people(random, rows=240):
    """Return a table whose streets, comments and numbers are mostly those of one row."""
    common = [name_of(random) for _ in range(3)]
    street = [name_of(random, 6) if i % 10 == 0 else common[i % 3] for i in range(rows)]
    income = random.normal(3000, 700, rows).round(6)
    return pd.DataFrame(
        {
            "person": [name_of(random, 7) for _ in range(rows)],
            "street": street,
            "income": income,
            "born": pd.date_range("1950-01-01", periods=rows, freq="97D").strftime("%Y-%m-%d"),
            "comment": [" ".join(name_of(random) for _ in range(4)) for _ in range(rows)],
            "plan": np.where(income > 3000, "premium", "standard"),
        }
    )


def table(folder, random):
    people(random).to_csv(folder / "people.csv", index=False)
    return "tabular_fnn", folder / "people.csv", dict(target="plan", drop=["person"])


def values(folder, random):
    frame = people(random).drop(columns=["plan", "comment"])
    frame.to_csv(folder / "incomes.csv", index=False)
    return "tabular_fnn", folder / "incomes.csv", dict(target="income", drop=["person"])


def many_classes(folder, random):
    frame = people(random).drop(columns=["person", "comment", "born"])
    frame.loc[:3, "plan"] = "forgotten-plan"
    frame.to_csv(folder / "plans.csv", index=False)
    return "tabular_fnn", folder / "plans.csv", dict(target="plan")


def words(folder, random):
    frame = people(random)[["comment", "plan"]]
    frame.to_csv(folder / "comments.csv", index=False)
    return "text_cnn", folder / "comments.csv", dict(target="plan")


def language(folder, random):
    lines = [" ".join(name_of(random) for _ in range(10)) for _ in range(300)]
    (folder / "letters.txt").write_text("\n".join(lines), encoding="utf-8")
    return "language_gru", folder / "letters.txt", {}


def photos(folder, random):
    for label, level in (("indoors", 60), ("outdoors", 180)):
        (folder / "photos" / label).mkdir(parents=True)
        for _ in range(20):
            pixels = np.clip(random.normal(level, 20, (24, 24, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / "photos" / label / f"{name_of(random)}.png")
    return "image_cnn", folder / "photos", dict(input_shape=(24, 24, 3))


def shops(folder, random):
    dates = pd.date_range("2024-01-01", periods=120).strftime("%Y-%m-%d")
    frames = [
        pd.DataFrame(
            {
                "shop": name_of(random),
                "day": dates,
                "sales": (20 + random.normal(size=120).cumsum()).round(6),
            }
        )
        for _ in range(6)
    ]
    pd.concat(frames).to_csv(folder / "shops.csv", index=False)
    return (
        "series_gru",
        folder / "shops.csv",
        dict(target="sales", time="day", series_id="shop", horizon=5),
    )


def series(folder, random):
    dates = pd.date_range("2020-01-01", periods=300).strftime("%Y-%m-%d")
    values = (50 + random.normal(size=300).cumsum()).round(6)
    pd.DataFrame({"day": dates, "visitors": values}).to_csv(folder / "visitors.csv", index=False)
    return "series_fnn", folder / "visitors.csv", dict(time="day", horizon=5)


def rare_cells(source):
    """Return the cells, words and names of files of at least eight characters that fewer than five rows have."""
    rare = set()
    if source.is_dir():
        columns = [[path.name for path in source.rglob("*.png")]]
    elif source.suffix == ".csv":
        frame = pd.read_csv(source, dtype=str)
        columns = [list(frame[name]) for name in frame]
        columns += [[w for cell in column for w in {*cell.split()}] for column in columns]
    else:
        columns = [source.read_text(encoding="utf-8").split()]
    for column in columns:
        rare |= {
            cell for cell, n in Counter(column).items() if n < FEWEST and len(cell) >= SHORTEST
        }
    return rare


def without_c_and_html(model):
    return (
        ["keras", "saved_model", "onnx", "litert"]
        + ([] if model in (words, language) else ["c"])
        + ([] if model is language else ["html"])
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [table, values, many_classes, words, language, photos, shops, series]
)
def test_nothing_rare_leaves_but_what_a_dry_run_lists(model, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("KZOO_CACHE")
    preset, source, options = model(tmp_path, np.random.default_rng(0))
    with undrawn():
        run = kzoo.train(
            preset, source, epochs=1, out="run", callbacks="quick", progress=False, **options
        )
    exported = kzoo.export(run, "exported", without_c_and_html(model), progress=False)
    formats = [key for key, entry in exported.exports.items() if entry["status"] != "failed"]
    cells = rare_cells(source)
    assert len(cells) > 30 and len(formats) > 3
    capsys.readouterr()
    assert main(["push", "exported", "hub:models/it", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    listed = {each["name"] for names in document["contents"] for each in names["names"]}
    push(exported, "hub:models/it")
    content = b"\n".join(path.read_bytes() for path in Path("models").rglob("*") if path.is_file())
    content, texts = content.lower(), "\n".join(listed).lower()
    leaving = {cell for cell in cells if cell.lower().encode() in content}
    hidden = {cell for cell in leaving if cell.lower() not in texts}
    assert main(["push", "exported", "hub:fewer/it", "--min-count", "5"]) in (0, 2)
    print(
        f"\n{model.__name__}: {', '.join(formats)}; {len(cells):,} rare cells, {len(leaving):,} leave"
    )
    print(capsys.readouterr())
    assert hidden == set()
