"""What a look at paths and names shows to be wrong is said before Keras is imported, by every command with a path.

The class of faults: a mistyped path, a column that the table lacks or a folder without classes costs the seconds in
which TensorFlow starts, and the processor that it takes. Each call here runs where Keras cannot be imported at all.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE / "golden"))
import golden_answers  # noqa: E402

from kzoo.cli import main  # noqa: E402

# One process for all calls; any import of a backend, of Keras or of what takes as long is an error.
CALLS = """
import contextlib, importlib.abc, io, json, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch", "pandas", "sklearn", "matplotlib"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refusing())
from kzoo.cli import main
for words in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
BAD = {
    # command line -> what it says
    "train iris_fnn --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "train digits_cnn --task regression": "--task 'regression' does not suit image inputs",
    "tune digits_cnn --trials 0": "--trials 0 must be a whole number of at least 1",
    "tune digits_cnn --folds 1": "--folds 1 must be a whole number of at least 2",
    "tune digits_cnn --parallel 0": "--parallel 0 must be a whole number of at least 1",
    "tune digits_cnn --parallel 2 --threads 0": "--threads 0 must be a whole number of at least 1",
    "train digits_cnn --devices 0": "--devices 0 must be a whole number of at least 1",
    "tune digits_cnn --max-time soon": "--max-time 'soon' must be a number of seconds",
    "train digits_cnn --steps-per-call many": "--steps-per-call 'many' must be 'auto' or a whole number",
    "train iris_fnn --data iriss": "Did you mean 'iris'?",
    "train image_pretrained --weights imagenet --set backbone=efficientnet_lite0": "--weights 'imagenet' is not",
    "train iris_fnn --weights imagenet": "is for networks with a backbone, such as image_pretrained",
    "train digits_cnn --set linear_probe=true": "linear_probe=True needs --weights",
    "check iris_fnn --data nowhere/": "No file, folder or data set 'nowhere'",
    "check --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "check golden/table/data.csv --target plans": "Did you mean 'plan'?",
    "check --data golden/table/data.csv": "Say which column to predict with --target.",
    "tune iris_fnn --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "train iris_fnn --test nowhere.csv": "--test 'nowhere.csv': there is no such file",
    "train tabular_fnn --data golden/table/data.csv --target plans": "Did you mean 'plan'?",
    "train tabular_fnn --data golden/table/data.csv": "Say which column to predict with --target.",
    "check tabular_fnn --data golden/table/data.csv --target plan --drop agee": "Did you mean 'age'?",
    "tune tabular_fnn --data golden/table/data.csv --target plan --group shop": "Column 'shop' is not in the table",
    "train tabular_fnn --data golden/table/data.csv --target plan --column zip=category": "Column 'zip' is not in",
    "train tabular_fnn --data golden/table/data.csv --target plan --column code=word": "'code' is 'word'",
    "train series_gru --data golden/series/data.csv --time when": "Column 'when' is not in the series",
    "train series_gru --data golden/series/data.csv --target lod": "Did you mean 'load'?",
    "train text_cnn --data golden/text/data.csv --target mod": "Did you mean 'mood'?",
    "train cifar_cnn --data golden/table/data.csv --target plan": "Presets that fit: tabular_fnn,",
    "train tabular_fnn --data golden/images/new --target y": "'new' is a folder of images, but tabular_fnn takes rows",
    "train tabular_fnn --data golden/table/data.csv --target plan --time since": "--time 'since' has no meaning",
    "train image_cnn --data empty": "'empty' holds neither images nor .txt files",
    "train image_cnn --data phone": "Not read: 1 .heic. Convert",
    "train tabular_fnn golden/table/data.csv --target plan": "Did you mean '--data golden/table/data.csv'?",
    "train golden/table/data.csv --target plan": "is data, and no preset. Name one before it: kzoo train PRESET --data",
    "tune golden/images/new": "kzoo check --data golden/images/new names some",
    "train iris_fn": "Did you mean 'iris_fnn'? See: kzoo list",
    "check golden/table/export --set units=8": "--set is for presets and runs",
    "check golden/table/export --column age=category": "--column is for presets and runs",
    "train image_cnn --data golden/images/new": "4 images but no class folders",
    "train image_cnn --data oneclass": "There is only one class, 'cat'",
    "train text_cnn --data onetext": "'onetext' holds one class only ('good')",
    "train image_cnn --data golden/images/new/0.png": "is one file; training takes a folder of images",
    "train iris_fnn --data README.rst": "kzoo reads",
    "train iris_fnn --target a --data digits": "gives image, but iris_fnn takes rows",
    "train iris_fnn --out README.rst": "is a file. Name a folder.",
    "train iris_fnn --weights nowhere": "--weights 'nowhere' does not exist",
    "train iris_fnn --weights README.rst": "is no .keras file and no .weights.h5 file",
    "train iris_fnn --weights empty": "empty is not a run",
    "train iris_fnn --precision half": "--precision 'half' is unknown",
    "train iris_fnn --resume always": "--resume 'always' is unknown",
    "train iris_fnn --backend jaxx": "--backend 'jaxx' is unknown. Did you mean 'jax'?",
    "tune iris_fnn --engine baysian": "Did you mean 'bayesian'?",
    "tune iris_fnn --space large": "--space 'large' is unknown",
    "train iris_fnn --freeze": "--freeze needs --weights",
    "train iris_fnn --seed -1": "--seed -1 must be a whole number from 0",
    "tune iris_fnn --data-seed -1": "--data-seed -1 must be a whole number from 0",
    "train iris_fnn --set units=wide": "whole number",
    "show iris_fn": "Did you mean 'iris_fnn'?",
    "check nowhere/run": "nowhere/run is not a run",
    "check golden/table/run --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "evaluate nowhere": "nowhere is not a run",
    "evaluate golden/table/run --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "evaluate golden/table/run --data golden/values/data.csv": "Column 'plan' is not in the table",
    "evaluate golden/table/run --data golden/table/data.csv --target plans": "Did you mean 'plan'?",
    "evaluate golden/series/run --data golden/table/data.csv": "Column 'load' is not in the series",
    "evaluate golden/text/run --data golden/table/data.csv": "Column 'mood' is not in the table",
    "evaluate golden/images/run --data empty": "'empty' has no images in class folders",
    "report nowhere": "nowhere is not a run",
    "report golden/table/run --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "compare golden/table/run golden/table/run_2 --data golden/values/data.csv": "Column 'plan' is not in the table",
    "export nowhere": "nowhere is not a run",
    "export golden/table/run --data nowhere.csv": "No file, folder or data set 'nowhere.csv'",
    "export golden/table/run --formats onx": "Did you mean 'onnx'?",
    "predict nowhere x.png": "nowhere is not a run",
    "predict text_ngrams fine": "Add --weights and one of: reviews, waimai.",
    "predict text_ngrams --weights imdb fine": "--weights 'imdb' is unknown. text_ngrams has: reviews, waimai.",
    "predict iris_fnn golden/values/data.csv": "iris_fnn has no trained weights",
    "evaluate golden/table/run --weights adult": "--weights 'adult' is for the name of a preset",
    "train digits_cnn --weights digit": "Did you mean 'digits'?",
    "train iris_fnn --weights digits": "--weights 'digits' does not exist",
    "predict golden/images/run nowhere.png": "'nowhere.png' does not exist",
    "predict golden/images/run README.rst": "Cannot read image 'README.rst'",
    "predict golden/table/run golden/values/data.csv": "is missing; the columns given are",
    "predict golden/table/export golden/values/data.csv": "is missing; the columns given are",
    "predict golden/series/run golden/table/data.csv": "Column 'load' is not in the series",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("early")
    golden_answers.unpack(home / "golden")
    for folder in ("empty", "oneclass/cat", "onetext/good", "phone/cat"):
        (home / folder).mkdir(parents=True)
    (home / "phone" / "cat" / "0.HEIC").write_bytes(b"")
    (home / "oneclass" / "cat" / "0.png").write_bytes(b"")
    (home / "onetext" / "good" / "0.txt").write_text("fine")
    (home / "README.rst").write_text("read me")
    return home


@pytest.fixture(scope="module")
def answers(place):
    """What every call said, in a process where nothing heavy can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS], input=json.dumps([words.split() for words in BAD]), cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(BAD), done.stderr
    return dict(zip(BAD, lines, strict=True))


@pytest.mark.parametrize("words", BAD)
def test_it_is_said_before_keras_is_imported(answers, words):
    code, out, err = answers[words]
    assert "is imported" not in err
    assert (code, out, err.count("\n")) == (2, "", 1) and BAD[words] in err, err


def test_what_is_right_passes_the_look(place, monkeypatch):
    """The same arguments without the fault are not refused: the look knows no more than the command."""
    from kzoo.cli import early, make_parser

    monkeypatch.chdir(place)
    for words in (
        "train iris_fnn", "train tabular_fnn --data golden/table/data.csv --target plan --drop age income",
        "check tabular_fnn --data golden/table/data.csv --target plan --column code=category --group town",
        "train series_gru --data golden/series/data.csv --target load,temperature --time hour",
        "train char_gru --data golden/language/data.txt", "tune text_cnn --data golden/text/data.csv --target mood",
        "evaluate golden/table/run --data golden/table/data.csv", "evaluate golden/table/run --data iris",
        "check golden/table/run --data golden/values/data.csv", "check golden/table/export",
        "check golden/values/run --data diabetes",
        "check --data golden/table/data.csv --target plan", "check golden/series/data.csv --time hour", "check iris",
        "evaluate golden/series/run --data golden/series/data.csv", "show iris_fnn",
        "evaluate golden/language/run --data golden/language/data.txt", "export golden/table/run --formats onnx",
        "compare golden/table/run golden/table/run_2 --data golden/table/data.csv", "list",
        "train iris_fnn --weights golden/table/run --test 0.3", "export golden/text/run --data golden/text/data.csv",
    ):  # fmt: skip
        words = words.split()
        assert early.look(make_parser(words[:1]).parse_args(words)) is None, words


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_a_header_is_read_as_the_table_is(tmp_path):
    from kzoo.sources.tables.files import read_header, read_rows

    for number, text in enumerate((
        "a;b b;\n1,5;2;3\n", ' a ,"b, c",b\n1,2,3\n', "\ufeffa\tb\n1\t2\n", '"two\nlines",b\n1,2\n',
        "a,a,,a\n1,2,3,4\n", "a,b\nrow,1,2\n",
    )):  # fmt: skip
        file = tmp_path / f"{number}.csv"
        file.write_text(text, encoding="utf-8")
        assert read_header(file).columns == read_rows(file).columns
    for encoding in ("utf-16", "gb18030"):
        file.write_text("年龄,收入\n1,2\n", encoding=encoding)
        assert read_header(file).columns == read_rows(file).columns == ["年龄", "收入"]
    file.write_text("a,é\n" + "1,2\n" * 400_000, encoding="utf-8")
    assert read_header(file) is None  # the rest of the file may show that it is not UTF-8
    file.write_text("a,b\n" + "1,2\n" * 400_000, encoding="utf-8")
    assert read_header(file).columns == ["a", "b"]


def test_the_command_still_answers(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["predict", "golden/images/run", "golden/images/new", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 4
    assert main(["predict", "golden/values/run", "golden/values/new.csv", "--top", "3"]) == 2
    assert "--top 3 shows classes, and golden/values/run answers with values" in capsys.readouterr().err
