"""Predictions from raw inputs of every kind."""

import json
from pathlib import Path

import library
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses, warns
from PIL import Image
from trained import shops, waves

import kzoo
from kzoo.cli import main
from kzoo.inference.predictions import Predictions

# conftest.py's, each trained once for both files
pytestmark = pytest.mark.xdist_group("small runs")


def check_classes(answers, run, count):
    assert len(answers) == len(answers.labels) == len(answers.inputs) == count
    assert answers.probabilities.shape == (count, len(answers.class_names))
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, atol=1e-5)
    assert answers.labels == [answers.class_names[i] for i in answers.probabilities.argmax(1)]
    frame = answers.to_frame()
    assert list(frame.columns) == ["input", "label", *(f"p_{name}" for name in answers.class_names)]
    assert frame["label"].tolist() == answers.labels and frame["input"].tolist() == list(
        answers.inputs
    )
    if run is not None:
        assert list(answers.class_names) == run.class_names


def test_images_are_read_from_files_and_arrays(image_run, sources, tmp_path):
    files = [
        str(sources / "photos" / "dark" / "0.png"),
        str(sources / "photos" / "light" / "0.png"),
    ]
    answers = kzoo.predict(image_run, files)
    check_classes(answers, image_run, 2)
    assert answers.inputs == tuple(files)
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    for same in (
        pixels,
        pixels.astype("float32"),
        [Image.open(file) for file in files],
        list(pixels),
    ):
        np.testing.assert_allclose(
            kzoo.predict(image_run, same).probabilities, answers.probabilities, atol=1e-6
        )
    single = kzoo.predict(image_run.path, files[0])
    assert single.inputs == (files[0],) and single.labels == answers.labels[:1]
    Image.open(files[0]).convert("L").resize((40, 30)).save(tmp_path / "grey.jpg")
    assert kzoo.predict(image_run, tmp_path / "grey.jpg").labels == answers.labels[:1]


def test_a_folder_of_images_is_answered_by_file(image_run, sources):
    answers = kzoo.predict(image_run, sources / "photos" / "dark")
    check_classes(answers, image_run, 20)
    assert sorted(answers.inputs) == sorted(str(p) for p in (sources / "photos" / "dark").iterdir())
    listed = kzoo.predict(image_run, list(answers.inputs))
    np.testing.assert_allclose(listed.probabilities, answers.probabilities, atol=1e-6)


def test_the_command_line_names_files_of_a_folder_that_are_not_read(
    image_run, sources, tmp_path, capsys
):
    folder = tmp_path / "holiday"
    (folder / ".hidden").mkdir(parents=True)
    picture = (sources / "photos" / "dark" / "0.png").read_bytes()
    for name in ("a.png", ".hidden/b.png", "._a.png"):
        (folder / name).write_bytes(picture)
    for name in ("IMG_1.heic", "IMG_2.HEIC", "notes.txt"):
        (folder / name).write_bytes(b"of a phone")
    assert main(["predict", str(image_run.path), str(folder)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1 and "a.png" in printed.out
    assert_mentions(printed.err, "2 .heic", "jpg jpeg")
    assert printed.err.count(".heic") == 1
    (folder / "a.png").unlink()
    assert main(["predict", str(image_run.path), str(folder)]) == 2
    error = capsys.readouterr().err
    assert_mentions(error, "holiday'", "jpg jpeg", "2 .heic")
    assert error.count(".heic") == 1


def test_table_rows_are_read_from_files_dicts_and_frames(table_run, tmp_path):
    frame = shops(9, seed=3).drop(columns="open")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    answers = kzoo.predict(table_run, tmp_path / "rows.csv")
    check_classes(answers, table_run, 9)
    shuffled = frame[["town", "size"]].assign(note="not known")
    for same in (frame, shuffled, frame.to_dict("records")):
        np.testing.assert_allclose(
            kzoo.predict(table_run, same).probabilities, answers.probabilities, atol=1e-6
        )
    first = kzoo.predict(table_run, frame.iloc[0].to_dict())
    assert first.labels == answers.labels[:1]
    with (
        warns("'size'", "1 of 1", "missing", "median"),
        warns("'town'", "1 of 1", "category", "row 1", "'Rom'"),
    ):
        # missing, and never seen
        strange = kzoo.predict(table_run, [{"size": None, "town": "Rom"}])
    check_classes(strange, table_run, 1)


def test_texts_are_read_from_lists_and_files(text_run, tmp_path):
    texts = ["the goal of the match", "soup and bread", ""]
    with warns("1 of 3 texts", "row 3"):
        answers = kzoo.predict(text_run, texts)
    check_classes(answers, text_run, 3)
    assert answers.inputs == tuple(texts)
    assert kzoo.predict(text_run, texts[0]).inputs == (texts[0],)
    (tmp_path / "lines.txt").write_text("\n".join(texts[:2]))
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "rows.csv", index=False)
    with warns("'lines.txt'", "2 texts", "line"):
        assert kzoo.predict(text_run, str(tmp_path / "lines.txt")).labels == answers.labels[:2]
    with warns("1 of 3 texts", "row 3"):
        assert kzoo.predict(text_run, str(tmp_path / "rows.csv")).labels == answers.labels
    np.testing.assert_allclose(
        kzoo.predict(text_run, texts[1]).probabilities, answers.probabilities[1:2], atol=1e-6
    )


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Three texts in files, of several lines and with names that fit another class, and a table of them."""
    texts = {
        "goal.txt": "the soup\nof bread",
        "more/bread.TXT": "a court and\na judge",
        "more/of/salt.txt": "the team",
    }
    for name, text in texts.items():
        (tmp_path / "notes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notes" / name).write_text(f"{text}\n")
    (tmp_path / "notes" / ".hidden.txt").write_text("the goal")
    (tmp_path / "judge.md").write_text("soup")
    pd.DataFrame({"text": texts.values()}).to_csv(tmp_path / "notes.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return {f"notes/{name}": text for name, text in texts.items()}


def test_files_and_folders_of_texts_are_read(text_run, notes, capsys):
    wanted = kzoo.predict(text_run, list(notes.values()))
    for source in (list(notes), tuple(map(Path, notes)), "notes", Path("notes"), ["notes/"]):
        answers = kzoo.predict(text_run, source)
        assert answers.inputs == tuple(notes)
        np.testing.assert_array_equal(answers.probabilities, wanted.probabilities)
    for words in (notes, ["notes"], ["notes/"], ["./notes/goal.txt", "notes/more"]):
        assert main(["predict", str(text_run.path), *words, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["predictions"]
        assert [Path(row["input"]) for row in rows] == list(map(Path, notes))
        assert [row["label"] for row in rows] == wanted.labels
    for file, text in (("notes/more/of/salt.txt", "the team"), ("judge.md", "soup")):
        np.testing.assert_array_equal(
            kzoo.predict(text_run, file).probabilities, kzoo.predict(text_run, [text]).probabilities
        )


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["notes/gaol.txt"], ("file", "'notes/gaol.txt'", "'goal.txt'")),
        (["may2.CSV"], ("file", "'may2.CSV'")),
        (["goal.md"], ("'goal.md'", "table", "column")),
        (["notes/goal.txt", "the goal"], ("'the goal'", "'notes/goal.txt'")),
        (["notes/goal.txt", "notes.csv"], ("'notes.csv'", "table")),
        (["empty"], ("'empty'", ".txt")),
    ],
)
def test_predict_refuses_names_of_missing_text_files(text_run, notes, capsys, names, parts):
    Path("empty").mkdir()
    for inputs in (names if len(names) > 1 else names[0], names if names != ["empty"] else "empty"):
        with refuses(*parts):
            kzoo.predict(text_run, inputs)
    assert main(["predict", str(text_run.path), *names]) == 2
    assert_mentions(capsys.readouterr().err, *parts)


def test_a_text_may_contain_file_names(text_run, notes, capsys):
    texts = ["the soup of goal.txt", "the judge . notes/goal.txt", "..", "and/or bread"]
    with warns("1 of 4 texts", "row 3"):
        assert kzoo.predict(text_run, texts).inputs == tuple(texts)
    assert kzoo.predict(text_run, texts[0]).inputs == (texts[0],)
    table = pd.DataFrame({"text": ["notes/goal.txt", "bread.txt"]})  # in a table all are texts
    assert len(kzoo.predict(text_run, table)) == 2
    assert main(["predict", str(text_run.path), *texts[:2], "--json"]) == 0
    assert [row["input"] for row in json.loads(capsys.readouterr().out)["predictions"]] == texts[:2]


def test_a_broken_text_file_gets_a_row_without_an_answer(text_run, notes):
    for i in range(30):
        Path(f"notes/{i}.txt").write_text("the goal")
    Path("notes/7.txt").write_bytes(b"\xff\x00\x80\xff")
    with warns("1 broken file", "notes/7.txt"):
        answers = kzoo.predict(text_run, "notes")
    row = answers.inputs.index("notes/7.txt")
    assert len(answers) == 33 and list(answers.unread) == [row] and answers.labels[row] is None
    Path("notes/7.txt").write_text(" \n")
    with refuses("'7.txt'", "empty"):
        kzoo.predict(text_run, ["notes/7.txt"])


def test_predict_warns_of_texts_without_a_word_of_the_vocabulary(text_run, tmp_path):
    texts = ["the goal", "", None, "   ", "qwrt xyzzy"]
    pd.DataFrame({"text": texts, "label": "sport"}).to_csv(tmp_path / "rows.csv", index=False)
    for rows in (tmp_path / "rows.csv", [{"text": text} for text in texts]):
        with warns("4 of 5 texts", "word", "rows 2, 3, 4, 5"):
            assert len(kzoo.predict(text_run, rows)) == 5
    with warns("text", "word"):
        kzoo.predict(text_run, "qwrt")
    (tmp_path / "strange.txt").write_text("qwrt")
    (tmp_path / "known.txt").write_text("goal")
    with warns("1 of 2 texts", "word", "strange.txt"):
        kzoo.predict(text_run, [tmp_path / "known.txt", tmp_path / "strange.txt"])


@pytest.mark.parametrize("first", ["an awful dull film", "Terrible!", "a" * 41])
def test_predict_refuses_a_text_as_the_header(text_run, tmp_path, first):
    (tmp_path / "sentences.csv").write_text(f"{first}\nthe goal\nthe team\n")
    for table in (tmp_path / "sentences.csv", pd.read_csv(tmp_path / "sentences.csv")):
        with refuses("column", "header", "'text'") as caught:
            kzoo.predict(text_run, table)
        assert first[:30] in str(caught.value)
    (tmp_path / "sentences.csv").write_text("review\nthe goal\nthe team\n")
    with warns("'review'", "column", "'text'"):
        assert len(kzoo.predict(text_run, tmp_path / "sentences.csv")) == 2
    (tmp_path / "sentences.csv").write_text(f"text\n{first}\n")
    assert kzoo.predict(text_run, [{"text": "the goal"}]).labels  # the usual name needs no word


def test_predict_refuses_a_lone_surrogate(text_run, language_run):
    repair = "text.encode('utf-8', 'replace').decode()"
    for texts in (
        ["the goal", "so good \ud83d"],
        [{"text": "the goal"}, {"text": "so good \ud83d"}],
    ):
        with refuses("text 2", repair):
            kzoo.predict(text_run, texts)
    with refuses(repair):
        kzoo.predict(language_run, "to be \ud83d")


def test_ties_go_to_the_first_class():
    equal = np.full((1, 40), 1 / 40)
    names = tuple(f"class {i}" for i in range(40))
    for answers in (
        Predictions(labels=["class 0"], probabilities=equal, class_names=names, inputs=("x",)),
        Predictions(labels=["class 0"], scores=equal, class_names=names, inputs=("x",)),
    ):
        (row,) = answers.rows()
        assert [answer["label"] for answer in row["classes"]] == list(names) and row[
            "label"
        ] == names[0]
        assert answers.rows(top=1)[0]["classes"][0]["label"] == names[0]


def test_a_regression_run_predicts_values(diabetes_run):
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    answers = kzoo.predict(diabetes_run, data.test.x[:7])
    assert answers.values.shape == (7, 1) and len(answers) == 7 and answers.labels == []
    frame = answers.to_frame()
    assert (
        list(frame.columns) == ["input", "target"]
        and frame["target"].tolist() == answers.values[:, 0].tolist()
    )


def test_targets_with_the_name_of_an_answer_column_get_a_prefix():
    values = np.arange(12.0).reshape(2, 2, 3)
    ahead = Predictions(
        values=values, target_names=("step", "input", "a"), inputs=("x", "y")
    ).to_frame()
    assert list(ahead.columns) == ["input", "step", "target_step", "target_input", "a"]
    assert ahead["step"].tolist() == [1, 2, 1, 2] and ahead["input"].tolist() == [
        "x",
        "x",
        "y",
        "y",
    ]
    np.testing.assert_array_equal(ahead[["target_step", "target_input", "a"]], values.reshape(4, 3))
    table = Predictions(
        values=values[0], target_names=("step", "input", "error"), inputs=("x", "y")
    ).to_frame()
    assert list(table.columns) == ["input", "step", "target_input", "target_error"]
    np.testing.assert_array_equal(table.iloc[:, 1:], values[0])


def test_a_forecast_continues_the_series(series_run, tmp_path):
    frame = waves(50)
    frame.to_csv(tmp_path / "new.csv", index=False)
    answers = kzoo.predict(series_run, tmp_path / "new.csv")
    assert answers.values.shape == (1, 3, 2)
    window = frame.to_numpy("float32")[-8:]
    for same in (frame, frame[["b", "a"]], window, window[None]):
        np.testing.assert_allclose(kzoo.predict(series_run, same).values, answers.values, atol=1e-5)
    # rows of the future, without values
    later = pd.concat([frame, frame[:5] * np.nan], ignore_index=True)
    later.to_csv(tmp_path / "later.csv", index=False)
    for same in (later, tmp_path / "later.csv", later.replace(np.nan, None).to_dict("records")):
        with warns("5 rows", "'a'", "'b'", "row 50"):
            np.testing.assert_array_equal(kzoo.predict(series_run, same).values, answers.values)
    table = answers.to_frame()
    assert list(table.columns) == ["step", "a", "b"] and table["step"].tolist() == [
        1,
        2,
        3,
    ]
    np.testing.assert_allclose(table[["a", "b"]].to_numpy(), answers.values[0])


def test_a_language_model_predicts_the_next_token(language_run):
    answers = kzoo.predict(language_run, ["to be or no", "the questio"])
    check_classes(answers, None, 2)
    assert answers.class_names[:2] == ("<pad>", "<unk>") and "q" in answers.class_names
    ids = {token: i + 2 for i, token in enumerate(language_run.preprocessing["vocabulary"])}
    x = np.array([[ids[c] for c in "o be or no"]], "int32")
    np.testing.assert_allclose(answers.probabilities[0], language_run.model(x)[0, -1], atol=1e-5)


def test_batches_do_not_change_answers(iris_run):
    x = kzoo.load_data("iris", preset="iris_fnn").train.x
    whole = kzoo.predict(iris_run, x).probabilities
    for size in (1, 7, 1000):
        np.testing.assert_allclose(
            kzoo.predict(iris_run, x[:30], batch_size=size).probabilities, whole[:30], atol=1e-6
        )


def test_a_single_logit_is_read_as_a_logit():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    data = kzoo.load_data((x, (x[:, 0] > 0).astype(int)), preset="cancer_fnn")
    settings = dict(output_activation=None, units=(4,), epochs=1, metrics=("accuracy",))
    run = kzoo.train("cancer_fnn", data, out="run", callbacks="quick", progress=False, **settings)
    logits = np.asarray(run.model(x))[:, 0]
    # such a value looks like a probability below one half
    assert ((logits > 0) & (logits < 0.5)).any()
    for row, logit in zip(x[:20], logits, strict=False):
        assert kzoo.predict(run, row[None]).probabilities[0, 1] == pytest.approx(
            1 / (1 + np.exp(-logit)), abs=1e-5
        )


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 4))])
def test_predict_refuses_empty_inputs(iris_run, text_run, image_run, series_run, empty):
    for run in (iris_run, text_run, image_run, series_run):
        with refuses("predict", "inputs"):
            kzoo.predict(run, empty)


def test_predict_refuses_inputs_that_do_not_fit(
    iris_run, table_run, image_run, text_run, series_run, sources, tmp_path
):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no image")
    (tmp_path / "empty").mkdir()
    for run, inputs, parts in (
        (iris_run, np.ones((2, 5)), ("5 columns", "4")),
        (iris_run, [[1, 2, 3, 4]], ("rows", "dicts", "DataFrame")),
        (table_run, [{"size": 1}], ("'town'", "missing", "size")),
        (table_run, "nowhere.csv", ("'nowhere.csv'",)),
        (image_run, "nowhere.png", ("image", "'nowhere.png'")),
        (image_run, [tmp_path / "bad.png", tmp_path / "bad.png"], ("2 files", "'bad.png'")),
        (
            image_run,
            [sources / "photos" / "dark" / "0.png", tmp_path / "nowhere.png"],
            ("nowhere.png'",),
        ),
        (image_run, tmp_path / "empty", ("images", repr(str(tmp_path / "empty")), "jpg jpeg")),
        (image_run, 5, ("5", "image", "PIL")),
        (text_run, 5, ("text", "int")),
        (text_run, pd.DataFrame({"a": ["x"], "b": ["y"]}), ("'text'", "missing", "a, b")),
        (series_run, waves(5), ("8 rows", "5")),
        (series_run, waves(20)[["a"]], ("'b'", "columns: a")),
        (tmp_path, np.ones((1, 4)), (str(tmp_path), "config.json")),
        (5, np.ones((1, 4)), ("5", "run", "keras.Model")),
    ):
        with refuses(*parts) as caught:
            kzoo.predict(run, inputs)
        assert "\n" not in str(caught.value)


def mean_over_views(run, images, name):
    """The mean answer to the views of some images, a loop over pixels moved by an index."""
    answer = lambda x: kzoo.predict(run, x).probabilities  # noqa: E731
    mirror = lambda x: (answer(x) + answer(np.flip(x, 2))) / 2  # noqa: E731
    if name == "mirror":
        return mirror(images)
    side = images.shape[1]
    # one more pixel on both sides, without repeating the border
    around = np.array([1, *range(side), side - 2])
    moved = [images[:, around[at : at + side]][:, :, around[at : at + side]] for at in (0, 2)]
    return mirror(images) / 2 + (mirror(moved[0]) + mirror(moved[1])) / 4


@pytest.mark.parametrize("name", ["mirror", "shift"])
def test_test_time_augmentation_is_the_mean_over_the_views(image_run, name):
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3)).astype("float32")
    answers = kzoo.predict(image_run, images, tta=name, batch_size=4)
    np.testing.assert_allclose(
        answers.probabilities, mean_over_views(image_run, images, name), atol=1e-6
    )
    assert (
        np.abs(answers.probabilities - kzoo.predict(image_run, images).probabilities).max() > 1e-4
    )


def test_scores_record_the_test_time_augmentation(image_run, sources, tmp_path):
    photos = library.copied(sources / "photos", tmp_path / "more")
    with warns("29 of 40 rows", "too optimistic"):  # a copy of the training images
        plain, scores = (kzoo.evaluate(image_run, photos, tta=tta) for tta in (None, "shift"))
    assert scores["tta"] == "shift" and "tta" not in plain
    answers = kzoo.predict(image_run, photos, tta="shift")
    truth = np.array(["light" in path for path in answers.inputs], int)
    of_truth = answers.probabilities[np.arange(len(truth)), truth]
    assert scores["loss"] == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert scores["loss"] != pytest.approx(plain["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda run, x, tta: kzoo.predict(run, x, tta=tta),
        lambda run, x, tta: kzoo.evaluate(run, tta=tta),
    ],
)
def test_tta_refuses_rows_and_unknown_names(call, iris_run, image_run, sources):
    with refuses("tta='mirror'", "images", "rows"):
        call(iris_run, np.zeros((2, 4)), "mirror")
    with refuses("tta='flip'", "mirror, shift"):
        kzoo.evaluate(image_run, sources / "photos", tta="flip")


def test_columns_of_a_table_are_kept(table_run, tmp_path, capsys):
    rows = shops(6, seed=1).assign(id=["0007", "NA", "0009", "", "a,b", "0012"], label="theirs")
    rows.to_csv(tmp_path / "new.csv", index=False)
    predictions = kzoo.predict(table_run, tmp_path / "new.csv", keep=["id", "label", "town"])
    frame = predictions.to_frame()
    assert list(frame.columns) == ["input", "id", "input_label", "town", "label", "p_no", "p_yes"]
    assert predictions.kept["id"] == ["0007", "NA", "0009", None, "a,b", "0012"]
    assert frame["input_label"].tolist() == ["theirs"] * 6
    assert frame["label"].tolist() == kzoo.predict(table_run, rows).labels
    assert predictions.rows()[1]["kept"] == {"id": "NA", "label": "theirs", "town": rows["town"][1]}
    assert_mentions(repr(predictions), "0007", "theirs")

    times = pd.date_range("2026-03-28 12:00", periods=6, tz="Europe/Berlin")
    kept = kzoo.predict(table_run, rows.assign(when=times), keep="when").columns()["when"]
    assert kept == list(times)
    assert kzoo.predict(table_run, rows.iloc[:1].to_dict("records"), keep="id").kept == {
        "id": ["0007"]
    }

    command = ["predict", str(table_run.path), str(tmp_path / "new.csv"), "--keep", "id", "--out"]
    assert main([*command, str(tmp_path / "out.csv")]) == 0
    printed = capsys.readouterr().out
    assert_mentions(printed, "0007", "a,b", "1 more", "6 predictions", str(tmp_path / "out.csv"))
    assert "0012" not in printed and len(printed.splitlines()) == 7
    written = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert written["id"].tolist() == ["0007", "NA", "0009", "", "a,b", "0012"]


def test_columns_that_cannot_be_kept(table_run, image_run, series_run, sources, tmp_path, capsys):
    rows = shops(3)
    with refuses("'city'", "the table", "size, town, open"):
        kzoo.predict(table_run, rows, keep="city")
    with refuses("keep=", "'town'", "once"):
        kzoo.predict(table_run, rows, keep=["town", "town"])
    with refuses("keep='town'", "not a table"):
        kzoo.predict(table_run, np.zeros((2, 2), "float32"), keep="town")
    with refuses("keep='town'", "not a table"):
        kzoo.predict(image_run, sources / "photos" / "dark" / "0.png", keep="town")
    with refuses("keep='a'", "series"):
        kzoo.predict(series_run, waves(100), keep="a")
    assert main(["predict", str(table_run.path), str(tmp_path / "none.csv"), "--keep", "id"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
