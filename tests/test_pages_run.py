"""README and docs/ run: every command and every block of code, in order, in a folder with the files that they name.

A page that needs more, such as a running server, names the test that runs it (`tests/pages.py`).
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from pages import PAGES, ROOT, blocks, comments, lines
from PIL import Image
from walk_page import LEFT_OUT, compare, shorter

# Files of models that pages open, written where Keras is imported.
MODELS = """
import keras


@keras.saving.register_keras_serializable("mine")
class MyLayer(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


for file, layer in (("from_somebody.keras", keras.layers.Dense(2)), ("mine.keras", MyLayer())):
    keras.Sequential([keras.layers.Input((4,)), layer]).save(file)
"""


ELSEWHERE = {page: comments(page, "run by") for page in PAGES if comments(page, "run by")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in ELSEWHERE],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_a_page_runs(page, tmp_path):
    if "ssh-keygen" in page.read_text(encoding="utf-8") and shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    print(walk(page, tmp_path))


def walk(page, folder):
    """Run the commands that a page assumes, and then the page; return what it prints."""
    write_files(folder)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    for words in comments(page, "assumes"):
        run(folder, environment, "-m", "kzoo", *words.split(), *shorter(words.split()))
    return run(folder, environment, ROOT / "tests" / "walk_page.py", page.relative_to(ROOT))


@pytest.mark.parametrize("page", ELSEWHERE, ids=lambda page: page.name)
def test_other_tests_run_the_remaining_pages(page):
    (test,) = ELSEWHERE[page]
    assert f'"{page.stem}' in (ROOT / test).read_text(encoding="utf-8")


def run(folder, environment, *words):
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout


def test_every_command_that_is_left_out_is_on_a_page():
    commands = [
        line
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for line in lines(block)
    ]
    assert [
        start for start in LEFT_OUT if not any(line.startswith(start) for line in commands)
    ] == []


def test_output_is_compared_with_the_page():
    shown = "accuracy 0.9563, best epoch 15 of 115, 25 s\n0  no\n"
    compare("accuracy 0.94, best epoch 21 of 98, 1 h 3 min\n0  no\n", shown, "here")
    for wrong in (shown.replace("0.9563", "0.75"), shown.replace("no", "yes"), shown + "1  no\n"):
        with pytest.raises(AssertionError, match="here"):
            compare(wrong, shown, "here")


def write_files(folder):
    """Write the files that the pages name, small."""
    rng = np.random.default_rng(0)
    (folder / "bin").mkdir()
    for name, words in (("kzoo", "-m kzoo "), ("python", "")):
        file = folder / "bin" / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        file.chmod(0o755)
    (folder / "models.py").write_text(MODELS)
    for images, size, count, classes in (
        ("photos", 48, 40, "cat dog"),
        ("new_photos", 48, 4, "cat dog"),
        ("pets", 48, 6, "cat dog"),
        ("letters", 8, 12, "a b c"),
    ):
        for i, label in enumerate(classes.split()):
            (folder / images / label).mkdir(parents=True)
            for n in range(count):
                shape = (size, size) if size == 8 else (size, size, 3)
                pixels = rng.integers(60 * i, 100 + 60 * i, shape, dtype="uint8")
                Image.fromarray(pixels).save(folder / images / label / f"{n}.png")
    for name in ("holiday.jpg", "photo.jpg"):
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype="uint8")).save(folder / name)
    for name, rows in (("survey.csv", 200), ("next_year.csv", 60)):
        age = rng.integers(18, 80, rows)
        answers = {
            "age": age,
            "income": 900 * age + rng.normal(0, 5_000, rows),
            "weight": rng.uniform(0.5, 2, rows),
        }
        pd.DataFrame(answers).to_csv(folder / name, index=False)
    length = rng.integers(5, 200, 100)
    stars = np.clip(length // 40 + rng.integers(0, 2, 100), 0, 4) + 1
    pd.DataFrame({"length": length, "stars": stars}).to_csv(folder / "reviews.csv", index=False)
    days = pd.date_range("2023-01-01", periods=200)
    price = rng.uniform(1, 9, len(days)).round(2)
    sales = pd.DataFrame(
        {
            "date": days,
            "price": price,
            "units": (90 - 5 * price + rng.normal(0, 9, len(days))).round(1),
        }
    )
    sales.to_csv(folder / "sales.csv", index=False)
    shops = pd.concat(
        pd.DataFrame(
            {"shop": shop, "date": days, "promo": rng.integers(0, 2, len(days)), "region": region}
        )
        for shop, region in (("a", "north"), ("b", "south"), ("c", "south"))
    )
    shops["sales"] = (10 + 5 * shops.promo + rng.normal(0, 1, len(shops))).round(1)
    shops.to_csv(folder / "shops.csv", index=False)
    steps = np.arange(24)
    recordings = []
    for recording in range(48):
        wave = np.sin(steps * (0.3 + 0.5 * (recording % 2)) + recording)
        recordings.append(
            pd.DataFrame(
                dict(
                    recording=f"r{recording}",
                    step=steps,
                    x=wave,
                    y=np.cos(wave),
                    person=f"p{recording // 4}",
                    activity="walk" if recording % 2 else "run",
                )
            )
        )
    pd.concat(recordings).to_csv(folder / "motions.csv", index=False)
    pd.concat(recordings[:3]).to_csv(folder / "new_motions.csv", index=False)
    later = shops.date > days[-8]
    shops.assign(sales=shops.sales.where(~later)).to_csv(folder / "planned.csv", index=False)
    for name, rows, answers in (
        ("churn.csv", 200, True),
        ("april.csv", 60, True),
        ("may.csv", 60, True),
        ("newer.csv", 120, True),
        ("new_customers.csv", 20, False),
        ("next_month.csv", 20, False),
    ):
        age = rng.integers(18, 80, rows)
        income = rng.normal(30_000, 9_000, rows).round()
        table = pd.DataFrame(
            {"age": age, "income": income, "plan": rng.choice(["basic", "gold"], rows)}
        )
        if answers:
            table["churned"] = np.where(age + rng.normal(0, 5, rows) > 45, "yes", "no")
        else:
            table["id"] = np.arange(rows)
        table.to_csv(folder / name, index=False)
    for images, count in (("houses", 40), ("new_houses", 6)):
        (folder / images).mkdir()
        rows = [
            (f"{n:04}.png", 1000.0 * rng.integers(100, 400), f"street {n % 8}")
            for n in range(count)
        ]
        pd.DataFrame(rows, columns=["file", "price", "street"]).to_csv(
            folder / images / "labels.csv", index=False
        )
        for n in range(count):
            pixels = rng.integers(0, 255, (48, 48, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / images / f"{n:04}.png")
    amount = rng.normal(100, 20, 80).round(2)
    orders = pd.DataFrame(
        {"amount": amount, "paid": np.where(amount + rng.normal(0, 9, 80) > 100, "yes", "no")}
    )
    for name in ("orders.xlsx", "june.xlsx"):
        orders.to_excel(folder / name, sheet_name="Orders", startrow=2, index=False)
    with closing(sqlite3.connect(folder / "shop.db")) as database:
        orders.to_sql("orders", database, index=False)
    days = rng.uniform(0, 3, 200)
    rentals = pd.DataFrame(
        {"sun": days, "rentals": rng.poisson(np.exp(days)), "price": np.exp(rng.normal(days))}
    )
    rentals.to_csv(folder / "rentals.csv", index=False)
    sky = pd.DataFrame(rng.normal(size=(200, 3)), columns=["pressure", "humidity", "temperature"])
    falls, blows, hides = (
        sky.to_numpy() + rng.normal(0, 0.5, (200, 3)) > (0.2, 0.5, 0.8)
    ).T.astype(int)
    sky.assign(rain=falls, wind=blows, fog=hides).to_csv(folder / "weather.csv", index=False)
    sky.head(20).to_csv(folder / "tomorrow.csv", index=False)
    (folder / "verses.txt").write_text("so long lives this, and this gives life to thee.\n" * 200)
    (folder / "reviews").mkdir()
    for label, words in (("good", "wonderful great warm funny"), ("bad", "dull cold slow boring")):
        texts = [f"a {' '.join(rng.choice(words.split(), 2))} film number {n}" for n in range(60)]
        (folder / "reviews" / f"{label}.txt").write_text("\n".join(texts))
    stars = rng.integers(1, 6, 200)
    texts = [
        f"a film of {' '.join(['fine'] * star)} minutes, number {n}" for n, star in enumerate(stars)
    ]
    pd.DataFrame({"text": texts, "stars": stars}).to_csv(folder / "stars.csv", index=False)
    hours = pd.date_range("2024-01-01", periods=24 * 60, freq="h")
    day = 2 * np.pi * hours.hour / 24
    power = pd.DataFrame(
        {
            "date": hours,
            "load": np.sin(day) + rng.normal(0, 0.1, len(hours)),
            "temperature": np.cos(day),
        }
    )
    power.to_csv(folder / "power.csv", index=False)
