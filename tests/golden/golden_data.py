"""Draw data like that of the golden runs; the runs were trained on the files in this folder."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

PRESET = """\
[golden_table]
base = "tabular_fnn"
summary = "A small net for a small table."

[golden_table.config]
units = [16, 8]
dropout = 0.1

[golden_table.training]
learning_rate = 0.01
batch_size = 16
"""


def write(out):
    """Write a folder for each kind of data, with new inputs to answer."""
    for part in ("table", "values", "text", "series", "language", "images/new", "search"):
        (out / part).mkdir(parents=True)
    (out / "table" / "preset.toml").write_text(PRESET, encoding="utf-8")
    _save(customers(200), out / "table" / "data.csv")
    _save(new_customers(), out / "table" / "new.csv")
    _save(flats(200), out / "values" / "data.csv")
    _save(flats(6, seed=1).drop(columns=["rent", "heating"]), out / "values" / "new.csv")
    _save(sentences(200), out / "text" / "data.csv")
    _save(hours(320), out / "series" / "data.csv")
    _save(hours(40, start=320), out / "series" / "new.csv")
    (out / "language" / "data.txt").write_text(story(160), encoding="utf-8")
    digits = load_digits().images[:4]
    for number, pixels in enumerate(digits):
        Image.fromarray((pixels * 15).astype("uint8")).save(
            Path(out, "images", "new", f"{number}.png")
        )


def _save(frame, file):
    frame.to_csv(file, index=False, lineterminator="\n")


def customers(count, seed=0):
    """A table with gaps, dates, codes with leading zeros, commas, truth values and words."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, count).astype(object)
    income = random.normal(4000, 900, count).round(2).astype(object)
    town = random.choice(["Bern, BE", "Genf", 'the "old" town', "Zürich"], count).astype(object)
    code = random.choice(["01", "1", "007"], count)
    member = random.choice(["yes", "no"], count)
    score = (
        age.astype(float) / 30
        + (income.astype(float) - 4000) / 900
        + (town == "Genf")
        + (code == "007")
    )
    plan = np.where(score > 2.8, "all inclusive", np.where(score > 1.6, "basic", "none"))
    age[::11], income[::7], town[::13] = None, None, None
    since = pd.date_range("2019-12-29", periods=count, freq="31h").strftime("%d.%m.%Y %H:%M")
    return pd.DataFrame(
        {
            "age": age,
            "income": income,
            "town": town,
            "code": code,
            "since": since,
            "member": member,
            "plan": plan,
        }
    )


def new_customers():
    """Rows without an answer, with a town and a date that training has not seen."""
    frame = customers(8, seed=5).drop(columns="plan")
    frame.loc[1, "town"], frame.loc[2, "since"], frame.loc[3, "since"] = (
        "Basel",
        "31.12.2030 00:00",
        None,
    )
    return frame


def flats(count, seed=0):
    random = np.random.default_rng(seed)
    size = random.normal(70, 20, count).clip(15).round(1).astype(object)
    floor = random.integers(0, 9, count)
    heat = random.choice(["gas", "wood", "district"], count).astype(object)
    rent = (size.astype(float) * 18 + floor * 25 + random.normal(0, 40, count)).round(2)
    heating = (
        size.astype(float) * np.where(heat == "gas", 1.4, 0.8) + random.normal(0, 4, count)
    ).round(2)
    size[::9], heat[::17] = None, None
    return pd.DataFrame(
        {"size": size, "floor": floor, "heat": heat, "rent": rent, "heating": heating}
    )


def sentences(count, seed=0):
    random = np.random.default_rng(seed)
    subjects = ["the film", "her book", "that soup", "our room", "this song"]
    moods = {
        "glad": ["a joy", "wonderful", "fresh and bright", "worth every penny"],
        "sad": ["a bore", "dreadful", "stale and grey", "a waste of time"],
        "so-so": ["neither here nor there", "as expected", "fine, I suppose"],
    }
    rows = []
    for _ in range(count):
        mood = str(random.choice(list(moods)))
        words = random.choice(["Truly", "Well", "In the end", "They say"]), random.choice(subjects)
        rows.append((f"{words[0]}, {words[1]} was {random.choice(moods[mood])}.", mood))
    return pd.DataFrame(rows, columns=["text", "mood"])


def hours(count, start=0):
    t = np.arange(start, start + count)
    random = np.random.default_rng(start)
    temperature = 12 + 6 * np.sin(t / 24 * 2 * np.pi) + random.normal(0, 0.5, count)
    load = (
        300 + 40 * np.sin((t - 6) / 24 * 2 * np.pi) - 3 * temperature + random.normal(0, 4, count)
    )
    when = pd.date_range("2026-01-01", periods=start + count, freq="h")[start:].strftime(
        "%Y-%m-%d %H:%M"
    )
    return pd.DataFrame({"hour": when, "load": load.round(2), "temperature": temperature.round(2)})


def story(lines, seed=0):
    random = np.random.default_rng(seed)
    subjects, verbs = ["the cat", "a dog", "my aunt"], ["sees", "wants", "hides"]
    objects = ["the moon", "a fish", "two hats"]
    sentences = [
        f"{random.choice(subjects)} {random.choice(verbs)} {random.choice(objects)}."
        for _ in range(lines)
    ]
    return "\n".join(sentences) + "\n"
