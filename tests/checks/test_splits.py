"""Each fault across the splits is reported; splits without it have no finding."""

import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from image_folders import load_images
from messages import assert_mentions, warns
from PIL import Image
from small_models import CANCER, DIGITS, IRIS, dense, find, finding_of, images, texts, words

import kzoo
from kzoo.cli import main

pytestmark = pytest.mark.usefixtures("untraced_module")

TWICE, BELONG = "duplicates_across_splits", "rows_belong_together"


def test_rows_that_are_trained_on_and_tested():
    x, y = CANCER
    finding = finding_of(TWICE, dense(30, 2), (x, y), test=(x[50:80], y[50:80]))
    assert finding.level == "warning"
    assert_mentions(finding.what, "30")
    assert_mentions(finding.where, "test", "0", "train row 50")
    assert find(TWICE, dense(30, 2), (x[:400], y[:400]), test=(x[400:], y[400:])) == []


def test_rows_duplicated_before_the_split():
    x, y = (np.concatenate([part, part]) for part in CANCER)
    checks = [finding.check for finding in kzoo.check("tabular_fnn", (x, y), deep=False)]
    assert TWICE in checks
    assert find(TWICE, "tabular_fnn", CANCER) == []


def second_sources():
    """Yield a name, a source, a preset and options: rows that are different, rows of few values, texts, a series."""
    random = np.random.default_rng(0)
    y = random.choice(["p", "q"], 300)
    yield (
        "varied rows",
        pd.DataFrame({"a": random.normal(size=300), "b": random.normal(size=300), "y": y}),
        {},
    )
    yield (
        "few values",
        pd.DataFrame({name: random.choice(list("xyz"), 300) for name in "ab"} | {"y": y}),
        {},
    )
    words = [f"w{i}" for i in range(60)]
    short = [" ".join(random.choice(words, 2)) for _ in range(300)]
    yield "short texts", pd.DataFrame({"text": short, "y": y}), {"preset": "text_cnn"}
    steps = pd.date_range("2020-01-01", periods=600, freq="h")
    series = pd.DataFrame(
        {"time": steps, "y": np.sin(np.arange(600) / 4) + random.normal(size=600) / 5}
    )
    yield "series", series, {"preset": "series_linear", "horizon": 12}


SECOND = {name: more for name, *more in second_sources()}


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize("name", SECOND)
def test_a_second_source_that_repeats_the_training_source(name, part, tmp_path):
    frame, options = SECOND[name]
    options = {"target": "y", "preset": "tabular_fnn"} | options
    for file in ("data.csv", "copy.csv", "half.csv", "other_half.csv"):
        half = slice(None, 300) if name == "series" else slice(None, 150)
        other = slice(300, None) if name == "series" else slice(150, None)
        rows = {"half.csv": half, "other_half.csv": other}.get(file, slice(None))
        frame.iloc[rows].to_csv(tmp_path / file, index=False)
    preset = options.pop("preset")
    check = "second_series_overlaps" if name == "series" else TWICE
    finding = finding_of(
        check, preset, tmp_path / "data.csv", **{part: tmp_path / "copy.csv"}, **options
    )
    count = {"test": ("270 of 300", "528 of 588"), "validation": ("240 of 300", "468 of 588")}[
        part
    ][name == "series"]
    assert_mentions(finding.what, part, count)
    assert_mentions(finding.fix, f"{part}=")
    assert (
        find(check, preset, tmp_path / "half.csv", **{part: tmp_path / "other_half.csv"}, **options)
        == []
    )


def test_evaluation_names_how_many_rows_were_trained_on(tmp_path, capsys):
    x, y = CANCER
    frame = pd.DataFrame(x[:, :6]).add_prefix("c").assign(y=y)
    frame.iloc[:400].to_csv(tmp_path / "data.csv", index=False)
    shutil.copy(tmp_path / "data.csv", tmp_path / "copy.csv")
    frame.iloc[400:].to_csv(tmp_path / "other.csv", index=False)
    for name, options in {"drawn": {}, "second": {"test": tmp_path / "other.csv"}}.items():
        run = kzoo.train(
            "tabular_fnn",
            tmp_path / "data.csv",
            target="y",
            epochs=1,
            out=tmp_path / name,
            progress=False,
            check=False,
            baselines=False,
            **options,
        )
        trained = run.data.train
        with warns("copy.csv", "400 rows", "trained on") as caught:
            kzoo.evaluate(run, tmp_path / "copy.csv")
        (about,) = re.findall(r"About (\d+) of", str(caught[0].message))
        assert int(about) == pytest.approx(trained, abs=15)
        assert main(["evaluate", str(run.path), "--data", str(tmp_path / "copy.csv")]) == 0
        assert_mentions(capsys.readouterr().err, "About", "copy.csv")
    with warns("data.csv", "About"):  # read whole: the test rows were of another file
        kzoo.evaluate(run, tmp_path / "data.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kzoo.evaluate(run, tmp_path / "other.csv")


def recordings(values=False, names=False, seed=0):
    """Return 60 recordings of 16 similar rows each, in random order; each recording has a random answer."""
    random = np.random.default_rng(seed)
    ids = np.repeat(np.arange(60), 16)
    count = 60 * 16
    x = random.normal(size=(60, 4))[ids] + random.normal(size=(count, 4)) / 4
    answers = (
        random.normal(size=60)
        if values
        else np.array(["run", "sit", "walk"])[random.integers(0, 3, 60)]
    )
    frame = pd.DataFrame(x, columns=list("abcd")).assign(
        recording=[f"r{i:03}" for i in ids] if names else ids * 7, answer=answers[ids]
    )
    return frame.sample(frac=1, random_state=seed)


@pytest.mark.parametrize("values", [False, True], ids=["classes", "values"])
@pytest.mark.parametrize("names", [False, True], ids=["numbers", "names"])
@pytest.mark.parametrize("memory", ["plenty", "little"])
def test_a_column_whose_values_each_have_a_single_answer(
    values, names, memory, tmp_path, monkeypatch
):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    if memory == "little":
        pytest.importorskip("pyarrow")
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    recordings(values, names).to_csv(file := tmp_path / "steps.csv", index=False)
    finding = finding_of(BELONG, "tabular_fnn", file, target="answer")
    assert_mentions(finding.what, "'recording'", "960", "60")
    assert_mentions(finding.fix, "group='recording'")
    # still split at random
    assert finding_of(BELONG, "tabular_fnn", file, target="answer", drop="recording")
    assert find(BELONG, "tabular_fnn", file, target="answer", group="recording") == []


def test_ids_of_a_table_that_is_sorted_by_class():
    """Sorted classes look like those of a measurement, but all rows of an id are neighbours."""
    frame = recordings().sort_values(["answer", "recording"]).reset_index(drop=True)
    frame["recording"] = frame.groupby(["answer", "recording"], sort=False).ngroup()
    frame = frame.drop(index=range(0, 900, 47))  # of some there are fewer rows
    finding = finding_of(BELONG, "tabular_fnn", frame, target="answer", drop="recording")
    assert_mentions(finding.what, "'recording'", "940", "60")
    assert (
        find(
            BELONG,
            "tabular_fnn",
            frame.sample(frac=1, random_state=0),
            target="answer",
            drop="recording",
        )
        == []
    )


def test_texts_of_authors_with_a_single_label():
    random = np.random.default_rng(0)
    author = np.repeat(np.arange(40), 5)
    notes = [
        " ".join(random.choice(["tea", "rain", "bus", "book", "sea", "road"], 7)) + f" {i}"
        for i in range(200)
    ]
    frame = pd.DataFrame(
        {"author": author, "note": notes, "mood": random.permutation(["good", "poor"] * 20)[author]}
    )
    assert_mentions(
        finding_of(BELONG, "text_cnn", frame, target="mood").what, "'author'", "200", "40"
    )
    assert find(BELONG, "text_cnn", frame, target="mood", group="author") == []
    assert find(BELONG, "text_cnn", frame.assign(author=author[::-1] % 7), target="mood") == []


def test_ids_with_different_answers_are_not_reported():
    frame = recordings()
    frame.iloc[0, -1] = next(name for name in ("run", "sit") if name != frame.iloc[0, -1])
    assert find(BELONG, "tabular_fnn", frame, target="answer") == []


def test_measurements_and_rare_classes_are_not_reported():
    random = np.random.default_rng(0)
    length = random.integers(10, 70, 900)
    answers = {
        "a measurement that tells the class": np.where(length > 33, "long", "short"),
        "values that follow a measurement": np.sqrt(length) * 3.1,
    }
    for y in answers.values():
        frame = pd.DataFrame({"length": length, "noise": random.normal(size=900), "answer": y})
        assert find(BELONG, "tabular_fnn", frame, target="answer") == []
    shop = random.integers(0, 400, 900)  # two or three rows each, of which hardly any is fraud
    frame = pd.DataFrame(
        {
            "shop": shop,
            "noise": random.normal(size=900),
            "answer": np.where(shop % 57 == 3, "y", "n"),
        }
    )
    assert find(BELONG, "tabular_fnn", frame, target="answer") == []
    for city in (True, False):  # pairs: equal by chance, or not
        pairs = random.permutation(np.repeat(np.arange(450), 2))
        y = (
            random.permutation(["u"] * 450 + ["v"] * 450)
            if city
            else np.array(["u", "v"])[pairs % 7 % 2]
        )
        frame = pd.DataFrame({"pair": pairs, "noise": random.normal(size=900), "answer": y})
        assert bool(find(BELONG, "tabular_fnn", frame, target="answer")) is not city


def test_a_single_duplicate_in_iris_is_not_reported():
    for seed in range(4):
        assert find(TWICE, "iris_fnn", data_seed=seed) == []


def test_equal_rows_of_a_few_categories_are_not_reported():
    random = np.random.default_rng(0)
    x = random.integers(0, 4, (500, 4)).astype("float32")
    y = random.integers(0, 3, 500)
    assert find(TWICE, dense(), (x[:400], y[:400]), test=(x[400:], y[400:])) == []


def test_images_in_memory():
    x, y = DIGITS
    assert finding_of(TWICE, images(), (x[:1500], y[:1500]), test=(x[1400:], y[1400:]))
    assert find(TWICE, images(), (x[:1500], y[:1500]), test=(x[1500:], y[1500:])) == []


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(15):
                pixels = random.integers(0, 256, (12, 12, 3)).astype("uint8")
                Image.fromarray(pixels).save(tmp_path / part / label / f"{i}.png")
    return tmp_path


def test_images_in_folders(folder, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "1")

    def lazy():
        return load_images(folder, image_shape=(12, 12, 3))

    assert find(TWICE, "image_cnn", lazy()) == []
    for i in range(4):
        shutil.copy(folder / "train" / "cat" / f"{i}.png", folder / "test" / "cat" / f"{i + 3}.png")
    finding = finding_of(TWICE, "image_cnn", lazy())
    assert_mentions(finding.what, "4", "30")
    assert_mentions(finding.where, "train row 0")


def test_texts():
    x, y = texts(400)
    assert finding_of(TWICE, words(), (x, y), test=(x[:40], y[:40]))
    assert find(TWICE, words(), (x[:300], y[:300]), test=(x[300:], y[300:])) == []
    short = x.copy()
    short[:, 3:] = 0  # "thank you" is written by many
    assert find(TWICE, words(), (short, y), test=(short[:40], y[:40])) == []


@pytest.mark.parametrize("preset", ("text_gru", "text_ngrams"))
def test_phrases_of_training_sentences(tmp_path, preset):
    random = np.random.default_rng(0)
    vocabulary = np.array([f"word{i}" for i in range(60)])
    sentences = [random.choice(vocabulary, 30) for _ in range(120)]
    pieces = [(i, " ".join(words)) for i, words in enumerate(sentences)]
    pieces += [
        (i, " ".join(words[j : j + 20])) for i, words in enumerate(sentences) for j in (0, 8)
    ]
    table = pd.DataFrame(pieces, columns=["of", "text"]).assign(label=lambda rows: rows["of"] % 2)
    table.to_csv(tmp_path / "phrases.csv", index=False)
    findings = find(
        "texts_inside_others", preset, tmp_path / "phrases.csv", target="label", drop="of"
    )
    assert [re.match(r"\w+", finding.where)[0] for finding in findings] == ["validation", "test"]
    assert_mentions(findings[1].what, "72", "test", "training", "texts")
    assert_mentions(findings[1].fix, "group=")
    # No finding with the suggested fix, nor with sentences alone, which share words but no phrases.
    assert (
        find("texts_inside_others", preset, tmp_path / "phrases.csv", target="label", group="of")
        == []
    )
    table[:120].to_csv(tmp_path / "sentences.csv", index=False)
    assert (
        find("texts_inside_others", preset, tmp_path / "sentences.csv", target="label", drop="of")
        == []
    )


def test_equal_texts_are_reported_once():
    x, y = texts(400)
    x = np.concatenate([x, x[:, ::-1]], axis=1)
    twice = (x, y), dict(test=(x[:40], y[:40]))
    assert finding_of(TWICE, words(length=24), twice[0], **twice[1])
    assert find("texts_inside_others", words(length=24), twice[0], **twice[1]) == []


def test_a_test_split_with_other_class_shares():
    x, y = CANCER
    sorted_by_class = np.argsort(y, kind="stable")
    x, y = x[sorted_by_class], y[sorted_by_class]
    finding = finding_of(
        "class_shares_differ", dense(30, 2), (x[:300], y[:300]), test=(x[300:], y[300:])
    )
    assert finding.level == "warning"
    assert_mentions(finding.what, "71%", "0%")
    assert (
        find("class_shares_differ", "cancer_fnn")
        == find("class_shares_differ", dense(), IRIS, test=IRIS)
        == []
    )
