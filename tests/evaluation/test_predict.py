"""Predictions from raw inputs of every kind."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_data import shops, waves

import kzoo
from kzoo.cli import main
from kzoo.predictions import Predictions
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.xdist_group("small runs")  # conftest.py's, each trained once for both files


def check_classes(answers, run, count):
    assert len(answers) == len(answers.labels) == len(answers.inputs) == count
    assert answers.probabilities.shape == (count, len(answers.class_names))
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, atol=1e-5)
    assert answers.labels == [answers.class_names[i] for i in answers.probabilities.argmax(1)]
    frame = answers.to_frame()
    assert list(frame.columns) == ["input", "label", *(f"p_{name}" for name in answers.class_names)]
    assert frame["label"].tolist() == answers.labels and frame["input"].tolist() == list(answers.inputs)
    if run is not None:
        assert list(answers.class_names) == run.class_names


def test_images(image_run, home, tmp_path):
    files = [str(home / "photos" / "dark" / "0.png"), str(home / "photos" / "light" / "0.png")]
    answers = kzoo.predict(image_run, files)
    check_classes(answers, image_run, 2)
    assert answers.inputs == tuple(files)
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    for same in (pixels, pixels.astype("float32"), [Image.open(file) for file in files], list(pixels)):
        np.testing.assert_allclose(kzoo.predict(image_run, same).probabilities, answers.probabilities, atol=1e-6)
    one = kzoo.predict(image_run.path, files[0])
    assert one.inputs == (files[0],) and one.labels == answers.labels[:1]
    Image.open(files[0]).convert("L").resize((40, 30)).save(tmp_path / "grey.jpg")
    assert kzoo.predict(image_run, tmp_path / "grey.jpg").labels == answers.labels[:1]


def test_a_folder_of_images_is_answered_by_file(image_run, home):
    answers = kzoo.predict(image_run, home / "photos" / "dark")
    check_classes(answers, image_run, 20)
    assert sorted(answers.inputs) == sorted(str(p) for p in (home / "photos" / "dark").iterdir())
    listed = kzoo.predict(image_run, list(answers.inputs))
    np.testing.assert_allclose(listed.probabilities, answers.probabilities, atol=1e-6)


def test_what_is_not_read_of_a_folder_is_said_on_the_command_line(image_run, home, tmp_path, capsys):
    folder = tmp_path / "holiday"
    (folder / ".hidden").mkdir(parents=True)
    picture = (home / "photos" / "dark" / "0.png").read_bytes()
    for name in ("a.png", ".hidden/b.png", "._a.png"):
        (folder / name).write_bytes(picture)
    for name in ("IMG_1.heic", "IMG_2.HEIC", "notes.txt"):
        (folder / name).write_bytes(b"of a phone")
    assert main(["predict", str(image_run.path), str(folder)]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 and "a.png" in said.out
    assert "Not read: 2 .heic. Images are jpg jpeg" in said.err and said.err.count("Not read") == 1
    (folder / "a.png").unlink()
    assert main(["predict", str(image_run.path), str(folder)]) == 2
    assert capsys.readouterr().err.strip().endswith("Not read: 2 .heic.")


def test_rows(table_run, tmp_path):
    frame = shops(9, seed=3).drop(columns="open")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    answers = kzoo.predict(table_run, tmp_path / "rows.csv")
    check_classes(answers, table_run, 9)
    shuffled = frame[["town", "size"]].assign(note="not known")
    for same in (frame, shuffled, frame.to_dict("records")):
        np.testing.assert_allclose(kzoo.predict(table_run, same).probabilities, answers.probabilities, atol=1e-6)
    first = kzoo.predict(table_run, frame.iloc[0].to_dict())
    assert first.labels == answers.labels[:1]
    with pytest.warns(KzooWarning, match="'town': 1 of 1 value is a category that training has not seen"):
        strange = kzoo.predict(table_run, [{"size": None, "town": "Rom"}])  # missing, and never seen
    check_classes(strange, table_run, 1)


@pytest.mark.filterwarnings("ignore:.* no word the model knows")
def test_texts(text_run, tmp_path):
    texts = ["the goal of the match", "soup and bread", ""]
    answers = kzoo.predict(text_run, texts)
    check_classes(answers, text_run, 3)
    assert answers.inputs == tuple(texts)
    assert kzoo.predict(text_run, texts[0]).inputs == (texts[0],)
    (tmp_path / "lines.txt").write_text("\n".join(texts[:2]))
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(KzooWarning, match="'lines.txt' is read as 2 texts, one a line"):
        assert kzoo.predict(text_run, str(tmp_path / "lines.txt")).labels == answers.labels[:2]
    assert kzoo.predict(text_run, str(tmp_path / "rows.csv")).labels == answers.labels
    np.testing.assert_allclose(kzoo.predict(text_run, texts[1]).probabilities, answers.probabilities[1:2], atol=1e-6)


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Three texts in files, of several lines and with names that say another class, and a table of them."""
    texts = {"goal.txt": "the soup\nof bread", "more/bread.TXT": "a court and\na judge", "more/of/salt.txt": "the team"}
    for name, text in texts.items():
        (tmp_path / "notes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notes" / name).write_text(f"{text}\n")
    (tmp_path / "notes" / ".hidden.txt").write_text("the goal")
    (tmp_path / "judge.md").write_text("soup")
    pd.DataFrame({"text": texts.values()}).to_csv(tmp_path / "notes.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return {f"notes/{name}": text for name, text in texts.items()}


def test_files_and_folders_of_texts_are_read_and_never_their_names(text_run, notes, capsys):
    wanted = kzoo.predict(text_run, list(notes.values()))
    for named in (list(notes), tuple(map(Path, notes)), "notes", Path("notes"), ["notes/"]):
        answers = kzoo.predict(text_run, named)
        assert answers.inputs == tuple(notes)
        np.testing.assert_array_equal(answers.probabilities, wanted.probabilities)
    for words in (notes, ["notes"], ["notes/"], ["./notes/goal.txt", "notes/more"]):
        assert main(["predict", str(text_run.path), *words, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)["predictions"]
        assert [Path(row["input"]) for row in said] == list(map(Path, notes))
        assert [row["label"] for row in said] == wanted.labels
    for file, text in (("notes/more/of/salt.txt", "the team"), ("judge.md", "soup")):
        np.testing.assert_array_equal(
            kzoo.predict(text_run, file).probabilities, kzoo.predict(text_run, [text]).probabilities
        )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["notes/gaol.txt"], "no file 'notes/gaol.txt'. Did you mean 'goal.txt'?"),
        (["may2.CSV"], "no file 'may2.CSV'"),
        (["goal.md"], "A text that looks like the name of a file goes into a table"),
        (["notes/goal.txt", "the goal"], "'the goal' is no file, and 'notes/goal.txt' names one"),
        (["notes/goal.txt", "notes.csv"], "'notes.csv' is a table: give it alone"),
        (["empty"], "'empty' holds no texts (.txt)."),
    ],
)
def test_what_looks_like_a_file_and_is_none_is_refused(text_run, notes, capsys, given, says):
    Path("empty").mkdir()
    for inputs in (given if len(given) > 1 else given[0], given if given != ["empty"] else "empty"):
        with pytest.raises(kzoo.KzooError, match=re.escape(says)):
            kzoo.predict(text_run, inputs)
    assert main(["predict", str(text_run.path), *given]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.* no word the model knows")
def test_a_text_may_speak_of_files(text_run, notes, capsys):
    texts = ["the soup of goal.txt", "the judge . notes/goal.txt", "..", "and/or bread"]
    assert kzoo.predict(text_run, texts).inputs == tuple(texts)
    assert kzoo.predict(text_run, texts[0]).inputs == (texts[0],)
    named = pd.DataFrame({"text": ["notes/goal.txt", "bread.txt"]})  # in a table all are texts
    assert len(kzoo.predict(text_run, named)) == 2
    assert main(["predict", str(text_run.path), *texts[:2], "--json"]) == 0
    assert [row["input"] for row in json.loads(capsys.readouterr().out)["predictions"]] == texts[:2]


def test_a_file_without_text_among_many_has_a_row_without_an_answer(text_run, notes):
    for i in range(30):
        Path(f"notes/{i}.txt").write_text("the goal")
    Path("notes/7.txt").write_bytes(b"\xff\x00\x80\xff")
    with pytest.warns(KzooWarning, match="Left out 1 broken file: notes/7.txt"):
        answers = kzoo.predict(text_run, "notes")
    place = answers.inputs.index("notes/7.txt")
    assert len(answers) == 33 and list(answers.unread) == [place] and answers.labels[place] is None
    Path("notes/7.txt").write_text(" \n")
    with pytest.raises(kzoo.KzooError, match=r"'7\.txt' is empty"):
        kzoo.predict(text_run, ["notes/7.txt"])


def test_texts_of_which_the_model_knows_nothing_are_named(text_run, tmp_path):
    texts = ["the goal", "", None, "   ", "qwrt xyzzy"]
    pd.DataFrame({"text": texts, "label": "sport"}).to_csv(tmp_path / "rows.csv", index=False)
    says = r"4 of 5 texts hold no word the model knows \(rows 2, 3, 4, 5\): their answers say nothing"
    for given in (tmp_path / "rows.csv", [{"text": text} for text in texts]):
        with pytest.warns(KzooWarning, match=says):
            assert len(kzoo.predict(text_run, given)) == 5
    with pytest.warns(KzooWarning, match="The text holds no word the model knows: its answer says nothing"):
        kzoo.predict(text_run, "qwrt")
    (tmp_path / "strange.txt").write_text("qwrt")
    (tmp_path / "known.txt").write_text("goal")
    with pytest.warns(KzooWarning, match=r"1 of 2 texts holds no word the model knows \(.*strange\.txt\): its answer"):
        kzoo.predict(text_run, [tmp_path / "known.txt", tmp_path / "strange.txt"])


@pytest.mark.parametrize("first", ["an awful dull film", "Terrible!", "a" * 41])
def test_the_first_text_is_not_taken_for_a_header(text_run, tmp_path, first):
    (tmp_path / "sentences.csv").write_text(f"{first}\nthe goal\nthe team\n")
    for given in (tmp_path / "sentences.csv", pd.read_csv(tmp_path / "sentences.csv")):
        with pytest.raises(
            kzoo.KzooError, match="if that is a text, put the header line 'text' above it; if it is a name"
        ):
            kzoo.predict(text_run, given)
    (tmp_path / "sentences.csv").write_text("review\nthe goal\nthe team\n")
    with pytest.warns(
        KzooWarning, match="The texts are read from 'review', the only column, and training had .* 'text'"
    ):
        assert len(kzoo.predict(text_run, tmp_path / "sentences.csv")) == 2
    (tmp_path / "sentences.csv").write_text(f"text\n{first}\n")
    assert kzoo.predict(text_run, [{"text": "the goal"}]).labels  # the usual name needs no word


def test_half_of_a_character_is_refused(text_run, language_run):
    for given in (["the goal", "so good \ud83d"], [{"text": "the goal"}, {"text": "so good \ud83d"}]):
        with pytest.raises(kzoo.KzooError, match="Text 2 holds half of a character"):
            kzoo.predict(text_run, given)
    with pytest.raises(kzoo.KzooError, match="half of a character"):
        kzoo.predict(language_run, "to be \ud83d")


def test_of_equals_the_first_is_the_answer_everywhere():
    equal = np.full((1, 40), 1 / 40)
    names = tuple(f"class {i}" for i in range(40))
    for answers in (
        Predictions(labels=["class 0"], probabilities=equal, class_names=names, inputs=("x",)),
        Predictions(labels=["class 0"], scores=equal, class_names=names, inputs=("x",)),
    ):
        (row,) = answers.rows()
        assert [one["label"] for one in row["classes"]] == list(names) and row["label"] == names[0]
        assert answers.rows(top=1)[0]["classes"][0]["label"] == names[0]


def test_values(diabetes_run):
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    answers = kzoo.predict(diabetes_run, data.test.x[:7])
    assert answers.values.shape == (7, 1) and len(answers) == 7 and answers.labels == []
    frame = answers.to_frame()
    assert list(frame.columns) == ["input", "target"] and frame["target"].tolist() == answers.values[:, 0].tolist()


def test_a_target_called_as_a_column_of_the_answers_keeps_its_values():
    values = np.arange(12.0).reshape(2, 2, 3)
    ahead = Predictions(values=values, target_names=("step", "input", "a"), inputs=("x", "y")).to_frame()
    assert list(ahead.columns) == ["input", "step", "target_step", "target_input", "a"]
    assert ahead["step"].tolist() == [1, 2, 1, 2] and ahead["input"].tolist() == ["x", "x", "y", "y"]
    np.testing.assert_array_equal(ahead[["target_step", "target_input", "a"]], values.reshape(4, 3))
    table = Predictions(values=values[0], target_names=("step", "input", "error"), inputs=("x", "y")).to_frame()
    assert list(table.columns) == ["input", "step", "target_input", "target_error"]
    np.testing.assert_array_equal(table.iloc[:, 1:], values[0])


def test_a_series(series_run, tmp_path):
    frame = waves(50)
    frame.to_csv(tmp_path / "new.csv", index=False)
    answers = kzoo.predict(series_run, tmp_path / "new.csv")
    assert answers.values.shape == (1, 3, 2)
    window = frame.to_numpy("float32")[-8:]
    for same in (frame, frame[["b", "a"]], window, window[None]):
        np.testing.assert_allclose(kzoo.predict(series_run, same).values, answers.values, atol=1e-5)
    later = pd.concat([frame, frame[:5] * np.nan], ignore_index=True)  # as a table of what is to come has them
    later.to_csv(tmp_path / "later.csv", index=False)
    for same in (later, tmp_path / "later.csv", later.replace(np.nan, None).to_dict("records")):
        with pytest.warns(KzooWarning, match=r"last 5 rows hold no number in 'a' or 'b': .* after row 50"):
            np.testing.assert_array_equal(kzoo.predict(series_run, same).values, answers.values)
    table = answers.to_frame()
    assert list(table.columns) == ["input", "step", "a", "b"] and table["step"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table[["a", "b"]].to_numpy(), answers.values[0])


def test_the_next_token(language_run):
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
        np.testing.assert_allclose(kzoo.predict(iris_run, x[:30], batch_size=size).probabilities, whole[:30], atol=1e-6)


def test_one_logit_alone_is_read_as_a_logit():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    data = kzoo.load_data((x, (x[:, 0] > 0).astype(int)), preset="cancer_fnn")
    settings = dict(output_activation=None, units=(4,), epochs=1, metrics=("accuracy",))
    run = kzoo.train("cancer_fnn", data, out="run", callbacks="quick", progress=False, **settings)
    logits = np.asarray(run.model(x))[:, 0]
    assert ((logits > 0) & (logits < 0.5)).any()  # such a value looks like a probability below one half
    for row, logit in zip(x[:20], logits, strict=False):
        assert kzoo.predict(run, row[None]).probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 4))])
def test_nothing_to_predict(iris_run, text_run, image_run, series_run, empty):
    for run in (iris_run, text_run, image_run, series_run):
        with pytest.raises(kzoo.KzooError, match="no inputs"):
            kzoo.predict(run, empty)


def test_what_cannot_be_answered(iris_run, table_run, image_run, text_run, series_run, home, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no image")
    (tmp_path / "empty").mkdir()
    for run, inputs, says in (
        (iris_run, np.ones((2, 5)), "5 columns"),
        (iris_run, [[1, 2, 3, 4]], "dicts"),
        (table_run, [{"size": 1}], "town"),
        (table_run, "nowhere.csv", "nowhere.csv"),
        (image_run, "nowhere.png", "nowhere.png"),
        (image_run, [tmp_path / "bad.png", tmp_path / "bad.png"], "bad.png"),
        (image_run, [home / "photos" / "dark" / "0.png", tmp_path / "nowhere.png"], "nowhere.png"),
        (image_run, tmp_path / "empty", "no images"),
        (image_run, 5, "5"),
        (text_run, 5, "int"),
        (text_run, pd.DataFrame({"a": ["x"], "b": ["y"]}), "text"),
        (series_run, waves(5), "last 8 rows"),
        (series_run, waves(20)[["a"]], "b"),
        (tmp_path, np.ones((1, 4)), "is not a run"),
        (5, np.ones((1, 4)), "5"),
    ):
        with pytest.raises(kzoo.KzooError) as caught:
            kzoo.predict(run, inputs)
        assert says in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def by_hand(run, images, name):
    """The mean answer to the views of some images, a loop over pixels moved by an index."""
    answer = lambda x: kzoo.predict(run, x).probabilities  # noqa: E731
    mirror = lambda x: (answer(x) + answer(np.flip(x, 2))) / 2  # noqa: E731
    if name == "mirror":
        return mirror(images)
    side = images.shape[1]
    around = np.array([1, *range(side), side - 2])  # one more pixel on both sides, without repeating the border
    moved = [images[:, around[at : at + side]][:, :, around[at : at + side]] for at in (0, 2)]
    return mirror(images) / 2 + (mirror(moved[0]) + mirror(moved[1])) / 4


@pytest.mark.parametrize("name", ["mirror", "shift"])
def test_test_time_augmentation_is_the_mean_over_the_views(image_run, name):
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3)).astype("float32")
    answers = kzoo.predict(image_run, images, tta=name, batch_size=4)
    np.testing.assert_allclose(answers.probabilities, by_hand(image_run, images, name), atol=1e-6)
    assert np.abs(answers.probabilities - kzoo.predict(image_run, images).probabilities).max() > 1e-4


def test_scores_say_that_there_was_test_time_augmentation(image_run, home, tmp_path):
    photos = shutil.copytree(home / "photos", tmp_path / "more")
    plain, scores = (kzoo.evaluate(image_run, photos, tta=tta) for tta in (None, "shift"))
    assert scores["tta"] == "shift" and "tta" not in plain
    answers = kzoo.predict(image_run, photos, tta="shift")
    truth = np.array(["light" in path for path in answers.inputs], int)
    of_truth = answers.probabilities[np.arange(len(truth)), truth]
    assert scores["loss"] == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert scores["loss"] != pytest.approx(plain["loss"], rel=1e-5)


@pytest.mark.parametrize("call", [lambda run, x, tta: kzoo.predict(run, x, tta=tta),
                                  lambda run, x, tta: kzoo.evaluate(run, tta=tta)])  # fmt: skip
def test_there_is_none_of_that_name_or_for_these_inputs(call, iris_run, image_run, home):
    with pytest.raises(kzoo.KzooError, match="tta='mirror' is for images, and this model reads rows: leave it out"):
        call(iris_run, np.zeros((2, 4)), "mirror")
    with pytest.raises(kzoo.KzooError, match="tta='flip' is unknown"):
        kzoo.evaluate(image_run, home / "photos", tta="flip")
