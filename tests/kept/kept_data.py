"""Draw the data of the stored runs, for `make_kept.py`; the runs were trained on the files in `data.zip`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TAGS = ("tag_sport", "tag_music")


def write(home: Path) -> None:
    """Write the folder `data` with all sources, and new inputs to predict."""
    (home / "data").mkdir(parents=True)
    _write_customers(home / "data")
    _write_texts(home / "data")
    _write_images(home / "data")
    _write_series(home / "data")
    _write_arrays(home / "data")


def _save(frame: pd.DataFrame, file: Path) -> None:
    frame.to_csv(file, index=False, lineterminator="\n")


def _write_customers(folder: Path) -> None:
    frame = customers(220)
    _save(frame, folder / "customers.csv")
    _save(_with_surprises(customers(8, seed=5)), folder / "new_customers.csv")
    with closing(sqlite3.connect(folder / "customers.db")) as database:
        frame.to_sql("customers", database, index=False)
    with pd.ExcelWriter(folder / "customers.xlsx") as book:
        pd.DataFrame({"a note": ["not this sheet"]}).to_excel(book, sheet_name="about", index=False)
        frame.to_excel(book, sheet_name="all", index=False, startrow=2)


def customers(count: int, seed: int = 0) -> pd.DataFrame:
    """A table with gaps, codes, two columns of dates, texts, households, weights, and a target of each task."""
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 90, count).astype(object)
    income = draw.normal(4000, 900, count).round(2).astype(object)
    town = draw.choice(["Bern, BE", "Genf", "Zürich"], count).astype(object)
    code = draw.choice(["01", "1", "007"], count)
    words = [
        f"{draw.choice(['Calls', 'Writes', 'Visits'])} {draw.choice(['often', 'rarely', 'never'])} about "
        f"{draw.choice(['the bill', 'the price', 'a late parcel'])}, case {number}"
        for number in range(count)
    ]
    complains = np.array(["parcel" in text for text in words])
    signal = (
        age.astype(float) / 30 + (income.astype(float) - 4000) / 900 + (town == "Genf") + complains
    )
    noise = draw.normal(0, 0.5, (5, count))
    churned = np.where(signal + noise[0] > np.quantile(signal, 0.7), "yes", "no")
    plan = np.where(signal > 3.2, "all inclusive", np.where(signal > 1.9, "basic", "none")).astype(
        object
    )
    plan[:3] = "founder"  # too rare to learn
    since = pd.date_range("2019-12-29", periods=count, freq="31h")
    frame = pd.DataFrame(
        {
            "age": age,
            "income": income,
            "town": town,
            "code": code,
            "since": since.strftime("%Y-%m-%d %H:%M"),
            "signed": [
                f"{day:02}/{month:02}/2024" for day, month in draw.integers(1, 13, (count, 2))
            ],
            "words": words,
            "household": [f"h{number}" for number in draw.integers(0, count // 2, count)],
            "weight": draw.choice([0.5, 1.0, 2.0], count),
            "churned": churned,
            "plan": plan,
            TAGS[0]: (signal + noise[1] > 2.5) * 1,
            TAGS[1]: (signal + noise[2] < 2.0) * 1,
            "visits": draw.poisson(np.exp(signal / 3)),
            "spend": (100 + 40 * signal + 8 * noise[3]).round(2),
            "cost": (30 - 4 * signal + noise[4]).round(3),
        }
    )
    frame.loc[::11, "age"], frame.loc[::7, "income"], frame.loc[::13, "town"] = None, None, None
    return frame


def _with_surprises(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with a town and a date that training has not seen."""
    frame.loc[1, "town"], frame.loc[2, "since"], frame.loc[3, "since"] = (
        "Basel",
        "2030-12-31 00:00",
        None,
    )
    return frame


def _write_texts(folder: Path) -> None:
    draw = np.random.default_rng(1)
    subjects = ["the film", "her book", "that soup", "our room", "this song"]
    moods = {
        "glad": ["a joy", "wonderful", "fresh and bright", "worth every penny"],
        "sad": ["a bore", "dreadful", "stale and grey", "a waste of time"],
        "so-so": ["neither here nor there", "as expected", "fine, I suppose"],
    }
    rows = []
    for number in range(160):
        mood = str(draw.choice(list(moods)))
        start = draw.choice(["Truly", "Well", "In the end", "They say"])
        text = f"{start}, {draw.choice(subjects)} was {draw.choice(moods[mood])}, I said on day {number}."
        rows.append(
            (
                text,
                mood,
                round({"glad": 4.0, "sad": 1.0, "so-so": 2.5}[mood] + draw.normal(0, 0.2), 2),
            )
        )
    frame = pd.DataFrame(rows, columns=["text", "mood", "stars"])
    _save(frame, folder / "reviews.csv")
    (folder / "letters").mkdir()
    for mood in ("glad", "sad"):
        lines = frame.loc[frame["mood"] == mood, "text"]
        (folder / "letters" / f"{mood}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    nouns, verbs = ["the cat", "a dog", "my aunt"], ["sees", "wants", "hides"]
    things = ["the moon", "a fish", "two hats"]
    story = [
        f"{draw.choice(nouns)} {draw.choice(verbs)} {draw.choice(things)}." for _ in range(140)
    ]
    (folder / "story.txt").write_text("\n".join(story) + "\n", encoding="utf-8")


def _write_images(folder: Path) -> None:
    draw = np.random.default_rng(2)
    rows = []
    for split, count in (("photos", 72), ("new_photos", 4)):
        (folder / split).mkdir()
        for number in range(count):
            across, bright = number % 2, draw.uniform(0.3, 1.0)
            pixels = draw.normal(30, 8, (8, 8))
            pixels[(3, slice(None)) if across else (slice(None), 3)] += 200 * bright
            image = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
            image.save(folder / split / f"{number:02}.png")
            if split == "new_photos":
                continue
            rows.append((f"{number:02}.png", round(100 * bright, 1), across, int(bright > 0.6)))
            classes = folder / "signs" / ("across" if across else "down")
            classes.mkdir(parents=True, exist_ok=True)
            image.save(classes / f"{number:02}.png")
    _save(
        pd.DataFrame(rows, columns=["file", "light", "across", "bright"]),
        folder / "photos" / "labels.csv",
    )


def _write_series(folder: Path) -> None:
    _save(hours(300), folder / "load.csv")
    _save(hours(24, start=300), folder / "new_load.csv")
    shops_, new_shops = shops()
    _save(shops_, folder / "shops.csv")
    _save(new_shops, folder / "new_shops.csv")
    _save(recordings(36), folder / "recordings.csv")
    _save(recordings(5, seed=9).drop(columns="state"), folder / "new_recordings.csv")


def hours(count: int, start: int = 0) -> pd.DataFrame:
    """Hourly load and temperature of one series."""
    t, draw = np.arange(start, start + count), np.random.default_rng(start)
    temperature = 12 + 6 * np.sin(t / 24 * 2 * np.pi) + draw.normal(0, 0.5, count)
    load = 300 + 40 * np.sin((t - 6) / 24 * 2 * np.pi) - 3 * temperature + draw.normal(0, 4, count)
    when = pd.date_range("2026-01-01", periods=start + count, freq="h")[start:].strftime(
        "%Y-%m-%d %H:%M"
    )
    return pd.DataFrame({"hour": when, "load": load.round(2), "temperature": temperature.round(2)})


def shops() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Daily sales of shops of different length with promotions and a region; the last two weeks, with days to come."""
    draw, frames, new = np.random.default_rng(3), [], []
    for number, days in enumerate((90, 80, 70, 60), start=1):
        promo = draw.integers(0, 2, days)
        dates = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        sales = (number * (10 + np.arange(days) % 7 + 5 * promo + draw.normal(0, 1, days))).round(2)
        region = "north" if number % 2 else "south"
        frame = pd.DataFrame(
            dict(shop=f"shop {number}", region=region, day=dates, sales=sales, promo=promo)
        )
        coming = frame[-3:].assign(day=frame["day"][-3:] + pd.Timedelta(days=3), sales=None)
        frames.append(frame)
        new.append(pd.concat([frame[-14:].astype({"sales": object}), coming]))
    return pd.concat(frames), pd.concat(new)


def recordings(count: int, seed: int = 4) -> pd.DataFrame:
    """Series of 12, 16 or 20 steps and two columns, each with a state."""
    draw, frames = np.random.default_rng(seed), []
    for number in range(count):
        steps, state = (20, 12, 16)[number % 3], ("rest", "walk")[number % 2]
        wave = np.sin(np.arange(steps) * (2.0 if state == "walk" else 0.5))
        frame = pd.DataFrame(
            {"sensor": f"s{number}", "subject": f"p{number // 4}", "step": np.arange(steps)}
        )
        columns = dict(
            x0=(wave + draw.normal(0, 0.3, steps)).round(3), x1=draw.normal(size=steps).round(3)
        )
        frames.append(frame.assign(**columns, state=state))
    return pd.concat(frames).sample(frac=1, random_state=0).reset_index(drop=True)


def _write_arrays(folder: Path) -> None:
    draw = np.random.default_rng(6)
    x = draw.normal(size=(150, 4)).astype("float32")
    y = np.array(["low", "middle", "high"])[np.digitize(x[:, 0] + x[:, 1], [-0.6, 0.6])]
    np.savez_compressed(folder / "rows.npz", x=x, y=y)
    x = draw.uniform(size=(120, 8, 1)).astype("float32")
    np.savez_compressed(folder / "sequences.npz", x=x, y=(10 * x.mean((1, 2))).round(3))
    np.savez_compressed(
        folder / "new_arrays.npz",
        rows=draw.normal(size=(6, 4)),
        sequences=draw.uniform(size=(5, 8, 1)),
    )
