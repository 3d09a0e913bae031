"""Exported models answer as `kzoo.predict` does, for every kind of input and on both runtimes."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import library
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses, warns
from PIL import Image
from small_exports import customers

import kzoo
import kzoo.cli
import kzoo.runtime
from kzoo.inference.encode import encode_named
from kzoo.utils.deprecation import KzooDeprecationWarning


def agree(pair, inputs, format=None, **options):
    """Compare all predictions with those of the run."""
    expected = kzoo.predict(pair.run, inputs)
    answers = kzoo.runtime.load(pair.exported, format).predict(inputs, **options)
    assert type(answers) is type(expected)
    for name in (
        "labels",
        "class_names",
        "target_names",
        "inputs",
        "times",
        "time_name",
        "history_times",
    ):
        assert getattr(answers, name) == getattr(expected, name), name
    for name in ("probabilities", "scores", "values", "history"):
        ours, theirs = getattr(answers, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    return answers


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_images(images, format, tmp_path, sources):
    folder = sources / "photos" / "dark"
    assert len(agree(images, folder, format)) == 20
    files = sorted(str(file) for file in folder.iterdir())[:3]
    Image.open(files[0]).convert("LA").resize((50, 30)).save(tmp_path / "grey.png")
    agree(images, [*files, tmp_path / "grey.png"], format, batch_size=3)
    agree(images, files[0], format)
    pixels = np.stack([np.asarray(Image.open(file).resize((12, 12))) for file in files])
    agree(images, pixels, format)
    agree(images, list(pixels), format)
    agree(images, Image.open(files[0]), format)


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_rows(rows, format, tmp_path):
    frame = customers(40, seed=5).drop(columns="open")
    frame.loc[3, "since"] = "31.12.2021 23:00"
    frame.to_csv(tmp_path / "new.csv", index=False, encoding="utf-8-sig")
    answers = agree(rows, tmp_path / "new.csv", format, batch_size=7)
    read = pd.read_csv(tmp_path / "new.csv")
    for same in (read, read.to_dict("records"), frame.to_dict("records")):
        np.testing.assert_array_equal(
            agree(rows, same, format).probabilities, answers.probabilities
        )
    agree(rows, frame.iloc[0].to_dict(), format)
    with warns("'since'", "row 1", "'no date'"):
        agree(
            rows,
            [{**frame.iloc[1].to_dict(), "code": "never seen", "size": None, "since": "no date"}],
            format,
        )


def test_files_in_the_users_folder(images, rows, texts, sources, tmp_path, monkeypatch):
    home = library.copied(sources, tmp_path / "home")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for pair, name in (
        (images, "photos/dark"),
        (images, "photos/dark/1.png"),
        (rows, "customers.csv"),
    ):
        for predict in (partial(kzoo.predict, pair.run), kzoo.runtime.load(pair.exported).predict):
            assert predict(f"~/{name}").labels == predict(home / name).labels
    assert kzoo.predict(images.run, ["~/photos/dark/1.png"]).inputs == (
        str(home / "photos" / "dark" / "1.png"),
    )
    # which is no file
    assert kzoo.predict(texts.run, ["~/court trial"]).inputs == ("~/court trial",)


def test_values(values):
    x = kzoo.load_data("diabetes", preset="diabetes_fnn").test.x[:5]
    assert agree(values, x).values.shape == (5, 1)


def test_former_names_of_methods_warn_and_work(values):
    model = kzoo.runtime.load(values.exported)
    x = np.zeros((2, *values.run.model.input_shape[1:]), "float32")
    with warns(
        "kzoo.runtime.Model.answer()", "kzoo.runtime.Model.run()", category=KzooDeprecationWarning
    ):
        outputs = model.answer(x)
    assert np.array_equal(outputs, model.run(x))
    encoded = encode_named(values.run.preprocessing, x)
    with warns(
        "kzoo.runtime.Model.say()",
        "kzoo.runtime.Model.predictions()",
        category=KzooDeprecationWarning,
    ):
        former = model.say(encoded, outputs)
    assert np.array_equal(former.values, model.predictions(encoded, outputs).values)


@pytest.mark.filterwarnings("ignore:.* texts? .*row")
def test_texts_at_a_fixed_batch_size(texts, tmp_path):
    strings = [
        "the goal of the match",
        "soup and bread",
        "",
        "unknown words only, and far too many of them all",
    ]
    agree(texts, strings)
    agree(texts, strings[0])
    pd.DataFrame({"text": strings}).to_csv(tmp_path / "rows.csv", index=False)
    agree(texts, str(tmp_path / "rows.csv"))
    agree(texts, [{"text": string} for string in strings])
    for i, string in enumerate(strings[:2]):
        (tmp_path / "notes" / str(i)).mkdir(parents=True)
        (tmp_path / "notes" / str(i) / "soup.TXT").write_text(string)
    files = sorted((tmp_path / "notes").rglob("*.TXT"))
    assert (
        agree(texts, files).inputs
        == agree(texts, tmp_path / "notes").inputs
        == tuple(map(str, files))
    )
    for missing, name in (("nowhere.txt", "'nowhere.txt'"), (["nowhere.csv"], "'nowhere.csv'")):
        with refuses("file", name):
            kzoo.runtime.load(texts.exported).predict(missing)


def test_a_series(series, sources, tmp_path):
    assert agree(series, sources / "dated.csv").values.shape == (1, 3, 2)
    frame = pd.read_csv(sources / "dated.csv").tail(20)
    frame.loc[frame.index[-2], "a"] = None
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "new.csv", index=False)
    latest = pd.Timestamp(frame["when"].iloc[-1])
    missing = partial(warns, "16 values", "1", "missing", "'a'")
    for same in (frame, shuffled, frame.to_dict("records"), tmp_path / "new.csv"):
        with missing():
            assert agree(series, same).times == [
                [latest + pd.Timedelta("5h") * step for step in (1, 2, 3)]
            ]
    with missing():
        assert agree(series, frame.to_dict("list")).columns()["when"][0] == latest + pd.Timedelta(
            "5h"
        )
    with missing(), warns("time", "'when'", "1"):
        assert agree(series, frame.drop(columns="when")).times == ()
    frame.loc[frame.index[-2:], ["a", "b"]] = None  # the future
    with warns("2 rows", "'a'", "'b'", str(latest - pd.Timedelta("10h"))[:16]):
        assert agree(series, frame.to_dict("records")).times[0][0] == latest - pd.Timedelta("5h")
    agree(series, np.random.default_rng(0).normal(size=(3, 8, 2)).astype("float32"), batch_size=2)


def test_a_series_of_another_step_is_refused_from_every_source(series, sources, tmp_path):
    frame = pd.read_csv(sources / "dated.csv")[::2]
    frame.to_csv(tmp_path / "thin.csv", index=False)
    model = kzoo.runtime.load(series.exported)
    run = series.run
    steps = ("10 hours", "5 hours")
    for source in (tmp_path / "thin.csv", frame, frame.to_dict("records"), frame.to_dict("list")):
        for predict in (model.predict, partial(kzoo.predict, run)):
            with refuses("series", *steps):
                predict(source)
    for source in (tmp_path / "thin.csv", frame):
        with refuses(*steps):
            kzoo.evaluate(run, source)
        with refuses(*steps):
            kzoo.check(run, source)
        with refuses("test series", *steps):
            kzoo.data.load_data(sources / "dated.csv", preset="series_gru", test=source)
    columns = [frame.drop(columns="when"), frame.assign(when=range(len(frame)))]
    for new, parts in zip(
        columns, (("time column", "'when'"), ("'when'", "numbers", "dates")), strict=True
    ):
        with warns(*parts):
            kzoo.evaluate(run, new)


def test_a_forecast_on_the_command_line(series, sources, tmp_path, capsys):
    outputs = []
    for source in (series.run.path, series.exported):
        words = [
            "predict",
            str(source),
            str(sources / "dated.csv"),
            "--plot",
            "ahead.png",
            "--out",
            "out.csv",
        ]
        assert kzoo.cli.main(words) == 0
        outputs.append(capsys.readouterr().out.splitlines())
        table = pd.read_csv("out.csv", parse_dates=["when"])
        assert table["when"].tolist() == list(
            pd.date_range("2024-01-30", periods=163, freq="5h")[160:]
        )
        assert Image.open("ahead.png").width == 1080
    assert outputs[0] == outputs[1] and outputs[0][1].split() == ["time", "a", "b"]


def test_plot_without_a_forecast_is_refused(rows, sources, capsys):
    for source in (rows.run.path, rows.exported):
        words = [
            "predict",
            str(source),
            str(sources / "customers.csv"),
            "--plot",
            "ahead.png",
            "--out",
            "out.csv",
        ]
        assert kzoo.cli.main(words) == 2
        assert_mentions(capsys.readouterr().err, "--plot", "forecast", str(source))
        assert not Path("out.csv").exists()


def test_the_next_token(language):
    with warns("1 of 3", "character", "row 3"):
        answers = agree(language, ["to be or no", "the questio", "x"])
    assert answers.class_names[:2] == ("<pad>", "<unk>") and answers.probabilities.ndim == 2


def changed(pair, tmp_path, **changes):
    """Copy an exported model with other entries in its kzoo.json; a function is called with the old one."""
    document = json.loads((pair.exported / "kzoo.json").read_text())
    document.pop("sha256", None)  # of all else in it
    for name, value in changes.items():
        document[name] = value(document[name]) if callable(value) else value
    for name in document["files"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((pair.exported / name).read_bytes())
    (tmp_path / "kzoo.json").write_text(json.dumps(document))
    return tmp_path


def test_a_model_without_preprocessing_takes_arrays(values, tmp_path):
    x = kzoo.load_data("diabetes", preset="diabetes_fnn").test.x[:4]
    expected = kzoo.predict(values.run, x).values
    model = kzoo.runtime.load(changed(values, tmp_path, preprocessing=None))
    np.testing.assert_allclose(model.predict(x).values, expected, rtol=1e-5)
    with refuses("(4, 3)", "(N, 10)"):
        model.predict(x[:, :3])


def test_the_first_format_with_an_installed_runtime_is_opened(images, monkeypatch):
    assert kzoo.runtime.load(images.exported).format == "onnx"
    monkeypatch.setattr(
        "kzoo.runtime.model.find_spec", lambda name: None if name == "onnxruntime" else True
    )
    assert kzoo.runtime.load(images.exported).format == "litert"


def test_a_missing_runtime_is_named_with_what_installs_it(images, monkeypatch):
    monkeypatch.setattr("kzoo.runtime.model.find_spec", lambda name: None)
    monkeypatch.setattr("kzoo.utils.optional.find_spec", lambda name: None)
    for format, package in ((None, "onnxruntime"), ("litert", "ai-edge-litert")):
        with refuses(f"pip install {package}") as caught:
            kzoo.runtime.load(images.exported, format)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_model_answers_32_threads_as_it_answers_a_single_thread(rows, format):
    model = kzoo.runtime.load(rows.exported, format)
    tables = [customers(n, seed=n) for n in range(1, 9)]
    alone = [model.predict(table).probabilities for table in tables]

    def compare(thread):
        for turn in range(15):
            which = (thread + turn) % len(tables)
            if not np.array_equal(model.predict(tables[which]).probabilities, alone[which]):
                return f"thread {thread}, turn {turn}: another answer"
        return None

    with ThreadPoolExecutor(32) as pool:
        assert [difference for difference in pool.map(compare, range(32)) if difference] == []
