"""Bad input: a clear line that names the value and the fix, exit code 2, and no file lost or changed.

Through Python a case is a call that raises `KzooError`; through the command line it is a list of words.
"""

import os
import pickle
import shutil
import socket
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from PIL import Image
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main

QUICK = dict(callbacks="quick", progress=False, epochs=1)


def image(path, *, broken=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if broken:
        path.write_bytes(b"\xff\xd8 no picture")
    else:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), "uint8")).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Bad files of every kind, and a good run."""
    home = tmp_path_factory.mktemp("world")
    before = Path.cwd()
    os.chdir(home)
    rows = pd.DataFrame(
        {
            "size": np.arange(30) / 7,
            "colour": ["red", "blue", "red"] * 10,
            "sold": ["yes", "no"] * 15,
        }
    )
    rows.to_csv("rows.csv", index=False)
    rows.drop(columns="sold").to_csv("no_answers.csv", index=False)
    rows.drop(columns="size").to_csv("no_size.csv", index=False)
    rows.assign(sold="yes").to_csv("one_answer.csv", index=False)
    rows.assign(sold=np.nan).to_csv("no_answer.csv", index=False)
    rows.head(4).to_csv("four.csv", index=False)
    rows.assign(sold=[*["yes", "no"] * 14, "yes", "perhaps"]).to_csv("lonely.csv", index=False)
    pd.DataFrame({"note": [f"note {i}" for i in range(30)], "sold": rows["sold"]}).to_csv(
        "notes.csv", index=False
    )
    Path("empty.csv").write_bytes(b"")
    Path("header.csv").write_text("size,colour,sold\n")
    Path("binary.csv").write_bytes(b"\0\1\2" * 500)
    Path("image.pdf").write_bytes(b"%PDF")
    pd.DataFrame({"load": np.sin(np.arange(40))}).to_csv("short_series.csv", index=False)
    pd.DataFrame({"load": ["much", "little"] * 100}).to_csv("words_series.csv", index=False)
    Path("lines.txt").write_text("To be, or not to be.\n" * 2)
    Path("three.txt").write_text("To be\nor not\nto be\n")
    Path("nothing").mkdir()
    x = np.random.default_rng(0).normal(size=(30, 4))
    y = np.arange(30) % 3
    np.savez("whole.npz", x=x, y=y)
    Path("cut.npz").write_bytes(Path("whole.npz").read_bytes()[:400])
    np.savez("uneven.npz", x=x, y=y[:-1])
    np.savez("nameless.npz", a=x, b=y)
    np.savez("pickle.npz", x=np.array([{"a": 1}] * 30, object), y=y)
    for i in range(6):
        image(Path("one_class/cat") / f"{i}.png")
        image(Path("lonely/cat") / f"{i}.png")
        image(Path("broken/cat") / f"{i}.png", broken=i > 0)
        image(Path("broken/dog") / f"{i}.png", broken=i > 0)
        image(Path("loose") / f"{i}.png")
        image(Path("hollow/cat") / f"{i}.png")
    image(Path("lonely/dog/0.png"))
    Path("hollow/dog").mkdir()
    Path("texts").mkdir()
    Path("texts/cats.txt").write_text("a cat\nthe cat\n" * 9)
    Path("file").write_text("mine")
    Path("others").mkdir()
    Path("others/thesis.txt").write_text("mine")

    with undrawn(), untraced():
        kzoo.train("tabular_fnn", "rows.csv", target="sold", out="run", units=(4,), **QUICK)
    for name in ("damaged", "foreign", "cut", "headless"):
        shutil.copytree("run", name)
    Path("damaged/config.json").write_text('{"spec": {"pre')
    Path("foreign/config.json").write_text('{"model_type": "bert"}')
    Path("cut/best.keras").write_bytes(Path("run/best.keras").read_bytes()[:900])
    Path("headless/best.keras").unlink()
    os.chdir(before)
    return home


@pytest.fixture
def here(world, monkeypatch, tmp_path):
    """Be among the files, without a network; nothing there may change."""
    monkeypatch.chdir(world)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KZOO_DATA", raising=False)

    def blocked(*args, **kwargs):
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket, "create_connection", blocked)
    monkeypatch.setattr(socket.socket, "connect", blocked)
    before = snapshot(world)
    yield world
    assert snapshot(world) == before, "bad input changed files"


def snapshot(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def train(preset, data=None, **options):
    return kzoo.train(preset, data, **QUICK | {"out": "new"} | options)


def compiled():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
Y = np.arange(30) % 3
PIXELS = np.random.default_rng(0).integers(0, 255, (30, 8, 8, 1)).astype("float32")
HOLED = np.where(np.arange(120).reshape(30, 4) == 50, np.nan, X)
FRAME = pd.DataFrame({"size": np.arange(30.0), "colour": "red", "sold": ["yes", "no"] * 15})

# A call, the wrong value as the message shows it, and the fix: the other parts that the message must name.
CALLS = [
    # build
    (lambda: kzoo.build("cifar_cn"), "cifar_cn", "cifar_cnn"),
    (lambda: kzoo.build("iris_fnn", classes=4), "'classes'", "iris_fnn", "'outputs'"),
    (lambda: kzoo.build("iris_fnn", unitz=4), "'unitz'", "iris_fnn", "'units'"),
    (
        lambda: kzoo.build("iris_fnn", filters=4),
        "'filters'",
        "iris_fnn",
        "cnn",
        "activation, batch_size",
    ),
    (lambda: kzoo.build("iris_fnn", units="wide"), "units='wide'", "1"),
    (lambda: kzoo.build("iris_fnn", dropout=1.5), "dropout=1.5", "0", "1"),
    (lambda: kzoo.build("iris_fnn", learning_rate=float("nan")), "learning_rate=nan", "0"),
    (lambda: kzoo.build("iris_fnn", activation="rely"), "activation='rely'", "relu, gelu, elu"),
    (
        lambda: kzoo.build("text_transformer", width=30, num_heads=4),
        "num_heads=4",
        "width=30",
        "text_transformer",
    ),
    (lambda: kzoo.build("digits_cnn", kernel_size=0), "kernel_size=0", "1"),
    (lambda: kzoo.build("iris_fnn", scale=(1.0,), offset=(0.0,)), "scale", "1", "4", "iris_fnn"),
    (
        lambda: kzoo.build("iris_fnn", loss="mse"),
        "loss='mse'",
        "tabular_classification",
        "auto, focal, hinge",
    ),
    (
        lambda: kzoo.build("iris_fnn", schedule="step", warmup=0.1),
        "warmup=0.1",
        "'constant'",
        "'cosine'",
        "'onecycle'",
        "'step'",
        "warmup=0",
    ),
    (
        lambda: kzoo.list_presets(task="vision"),
        "'vision'",
        "image_classification, text_classification",
    ),
    (lambda: kzoo.spec_of("nowhere"), "'nowhere'", "kzoo.train", "kzoo.export"),
    # load_data
    (lambda: kzoo.load_data("irs"), "'irs'", "'iris'"),
    (lambda: kzoo.load_data("nowhere.csv"), "'nowhere.csv'", "iris, wine, breast_cancer"),
    (lambda: kzoo.load_data(5), "int", "path", "DataFrame", "(x, y)", "tf.data.Dataset"),
    (lambda: kzoo.load_data("image.pdf"), "'image.pdf'", ".csv, .tsv", ".parquet"),
    (lambda: kzoo.load_data("nothing"), "'nothing'", "images", ".txt", "class"),
    (
        lambda: kzoo.load_data("loose", preset="image_cnn"),
        "'loose'",
        "6 images",
        "folder",
        "class",
        "jpg",
    ),
    (
        lambda: kzoo.load_data("one_class", preset="image_cnn"),
        "'cat'",
        "'one_class'",
        "class",
        "two",
    ),
    (lambda: kzoo.load_data("hollow", preset="image_cnn"), "'dog'", "folder", "images", "remove"),
    (lambda: kzoo.load_data("lonely", preset="image_cnn"), "'dog'", "1 of 2", "two"),
    (lambda: kzoo.load_data("broken", preset="image_cnn"), "10 of 12", "cat/1.png", "remove", "50"),
    (lambda: kzoo.load_data("loose/0.png"), "'0.png'", "folder", "class"),
    (lambda: kzoo.load_data("texts", preset="text_cnn"), "'cats'", "'texts'", "class", ".txt"),
    (
        lambda: kzoo.load_data("texts", preset="image_cnn"),
        "'texts'",
        "image_cnn",
        "text_bilstm, text_cnn",
    ),
    (lambda: kzoo.load_data("empty.csv"), "'empty.csv'", "empty"),
    (lambda: kzoo.load_data("header.csv"), "'header.csv'", "rows"),
    (lambda: kzoo.load_data("binary.csv"), "'binary.csv'", "text", "CSV"),
    (lambda: kzoo.load_data("no_answers.csv"), "size, colour", "target="),
    (lambda: kzoo.load_data("rows.csv", target="slod"), "'slod'", "'sold'", "size, colour, sold"),
    (
        lambda: kzoo.load_data("rows.csv", target="sold", drop=["price"]),
        "'price'",
        "size, colour, sold",
    ),
    (lambda: kzoo.load_data("rows.csv", target="sold", time="size"), "colour, sold", "numeric"),
    (
        lambda: kzoo.load_data("rows.csv", target="sold", task="ranking"),
        "task='ranking'",
        "classification",
        "labels",
    ),
    (
        lambda: kzoo.load_data("rows.csv", target="sold", preset="diabetes_fnn"),
        "'sold'",
        "diabetes_fnn",
        "tabular_regression",
        "tabular_fnn, tabular_resnet",
        "task=",
    ),
    (
        lambda: kzoo.load_data("rows.csv", target="sold", test="no_answers.csv"),
        "'sold'",
        "test",
        "size, colour",
    ),
    (lambda: kzoo.load_data("one_answer.csv", target="sold"), "'yes'", "two classes"),
    (lambda: kzoo.load_data("no_answer.csv", target="sold"), "'sold'", "column", "empty"),
    (lambda: kzoo.load_data("lonely.csv", target="sold"), "'perhaps'", "1 of 3", "two"),
    (lambda: kzoo.load_data("four.csv", target="sold"), "4", "rows", "10"),
    (lambda: kzoo.load_data("notes.csv", target="sold"), "'note'", "'sold'", "column"),
    (lambda: kzoo.load_data("cut.npz"), "'cut.npz'", ".npz", "zip"),
    (lambda: kzoo.load_data("pickle.npz"), "'pickle.npz'", "allow_pickle"),
    (
        lambda: kzoo.load_data("nameless.npz"),
        "'nameless.npz'",
        "a, b",
        "x_train",
        "y_train",
        "x",
        "y",
    ),
    (lambda: kzoo.load_data("uneven.npz"), "29", "y", "30", "x"),
    (lambda: kzoo.load_data((X, Y[:-1])), "29", "y", "30", "x"),
    (lambda: kzoo.load_data((HOLED, Y)), "row 12", "x", "1 NaN"),
    (lambda: kzoo.load_data((X, np.where(Y == 2, np.nan, Y))), "row 2", "y", "10 NaN"),
    (
        lambda: kzoo.load_data((X, Y + 0.5), task="classification"),
        "0.5",
        "y",
        "labels",
        "whole numbers",
        "strings",
    ),
    (lambda: kzoo.load_data((X.astype(str), Y)), "<U32", "x", "CSV", "DataFrame"),
    (
        lambda: kzoo.load_data((PIXELS / 255, Y), preset="digits_cnn"),
        "0..1",
        "255",
        "0..255",
        "rescale=False",
    ),
    (
        lambda: kzoo.load_data((PIXELS - 300, Y), preset="digits_cnn"),
        "-300",
        "0..255",
        "rescale=False",
    ),
    (lambda: kzoo.load_data((X, Y), preset="digits_cnn"), "(30, 4)", "(N, H, W, C)"),
    (lambda: kzoo.load_data((X, Y), preset="text_cnn"), "x", "token ids", "whole numbers"),
    (
        lambda: kzoo.load_data("short_series.csv", preset="series_gru"),
        "'short_series.csv'",
        "validation",
        "4 rows",
        "24",
        "input_shape=12",
        "horizon=4",
    ),
    (lambda: kzoo.load_data("words_series.csv", preset="series_gru"), "load", "numeric", "column"),
    (lambda: kzoo.load_data("lines.txt", preset="char_gru"), "'lines.txt'", "3 lines"),
    (
        lambda: kzoo.load_data("three.txt", preset="char_gru"),
        "'three.txt'",
        "15",
        "101",
        "input_shape",
    ),
    (lambda: kzoo.load_data("mnist"), "'mnist.npz'", "KZOO_DATA", "digits_cnn"),
    (
        lambda: kzoo.load_data("cifar10", preset="cifar_cnn"),
        "'cifar-10-python.tar.gz'",
        "KZOO_DATA",
        "digits_cnn",
    ),
    (
        lambda: kzoo.load_data("iris", preset="digits_cnn"),
        "'iris'",
        "digits_cnn",
        "tabular_fnn, tabular_resnet",
    ),
    (lambda: kzoo.load_data("iris", validation=1.5), "validation=1.5", "0", "1"),
    (
        lambda: kzoo.load_data("iris", test=0.9, validation=0.5),
        "test=0.9",
        "validation=0.5",
        "train",
    ),
    (lambda: kzoo.load_data("iris", seed=-1), "seed=-1", "0"),
    # train
    (lambda: train("iris_fn"), "iris_fn", "iris_fnn"),
    (lambda: train("iris_fnn", epochs=0), "epochs=0", "1"),
    (lambda: train("iris_fnn", batch_size=0), "batch_size=0", "1"),
    (lambda: train("iris_fnn", seed=-1), "seed=-1", "0", "4294967295"),
    (lambda: train("iris_fnn", data_seed=0.5), "data_seed=0.5", "0", "4294967295"),
    (lambda: train("iris_fnn", lr=0.1), "'lr'", "iris_fnn", "'learning_rate'"),
    (lambda: train("iris_fnn", outputs=7), "outputs=7", "iris", "3"),
    (
        lambda: train("iris_fnn", loss="mae"),
        "loss='mae'",
        "tabular_classification",
        "auto, focal, hinge",
    ),
    (lambda: train("iris_fnn", metrics=("auc",)), "metrics='auc'", "accuracy, top5"),
    (lambda: train("iris_fnn", monitor="val_auc"), "monitor='val_auc'", "val_loss, val_accuracy"),
    (
        lambda: train("iris_fnn", callbacks="standart"),
        "callbacks='standart'",
        "standard, quick, long",
    ),
    (
        lambda: train("iris_fnn", callbacks=["standard"]),
        "'standard'",
        "callbacks=",
        "keras callbacks",
    ),
    (
        lambda: train("iris_fnn", precision="float8"),
        "precision='float8'",
        "auto, float32, mixed_bfloat16",
    ),
    (lambda: train("iris_fnn", out="file"), "out='file'", "file", "folder"),
    (lambda: train("iris_fnn", out="others", overwrite=True), "out='others'", "files", "folder"),
    (lambda: train("iris_fnn", out="file/run"), "out='file/run'", "file", "folder"),
    (lambda: train("iris_fnn", out="run"), "run", "rows.csv", "iris", "overwrite=True", "folder"),
    (lambda: train("iris_fnn", out="damaged"), "damaged/config.json", "JSON", "train"),
    (lambda: train("iris_fnn", out="foreign", overwrite=True), "out='foreign'", "files", "folder"),
    (lambda: train("iris_fnn", freeze="*"), "freeze=", "weights="),
    (lambda: train("iris_fnn", weights="nowhere"), "weights='nowhere'", ".keras", ".weights.h5"),
    (lambda: train("iris_fnn", weights="cut/best.keras"), "cut/best.keras", "zip"),
    (
        lambda: train("digits_cnn", "rows.csv", target="sold"),
        "'rows.csv'",
        "digits_cnn",
        "tabular_fnn, tabular_resnet",
    ),
    (lambda: train(compiled()), "data=", "folder", "arrays"),
    (
        lambda: train("diabetes_fnn", label_smoothing=0.1),
        "label_smoothing",
        "diabetes_fnn",
        "classes",
    ),
    (lambda: train("mnist_fnn"), "'mnist.npz'", "KZOO_DATA", "digits_cnn"),
    (lambda: train(keras.Sequential(name="mine"), (X, Y)), "'mine'", "model.compile"),
    # runs
    (lambda: kzoo.Run("nowhere"), "nowhere", "exist", "kzoo.train"),
    (lambda: kzoo.Run("others"), "others", "config.json", "kzoo.train"),
    (lambda: kzoo.Run("foreign").config, "foreign/config.json", "kzoo.train", "'spec'"),
    (lambda: kzoo.evaluate("run"), "'rows.csv'", "data="),
    (
        lambda: kzoo.evaluate("run", "rows.csv", split="tset"),
        "split='tset'",
        "train, validation",
        "test",
    ),
    (lambda: kzoo.evaluate("run", "no_answers.csv"), "'sold'", "size, colour"),
    (lambda: kzoo.evaluate("run", "lonely.csv"), "'perhaps'", "test", "class", "training"),
    (lambda: kzoo.evaluate("damaged", "rows.csv"), "damaged/config.json", "JSON", "train"),
    (lambda: kzoo.predict("others", FRAME), "others", "config.json", "kzoo.train"),
    (lambda: kzoo.predict("run", "no_size.csv"), "'size'", "column", "colour, sold"),
    (lambda: kzoo.predict("run", X), "4 columns", "2", "size, colour"),
    (lambda: kzoo.predict("run", []), "inputs", "predict"),
    (lambda: kzoo.predict("damaged", FRAME), "damaged/config.json", "JSON", "train"),
    (lambda: kzoo.predict("cut", FRAME), "cut/best.keras", "zip"),
    (lambda: kzoo.predict("headless", FRAME), "headless", "best.keras", "epoch"),
]


def assert_names(message, value, *fix):
    """Fail unless a line names the value, and outside of it the fix: the 1 of a limit is not that of `dropout=1.5`."""
    assert_mentions(message, value)
    assert_mentions(message.replace(value, "", 1), *fix)


def assert_refused(call, parts):
    """Fail unless a call raises KzooError with one short line that names the value and the fix."""
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    message = str(caught.value)
    assert_names(message, *parts)
    assert "\n" not in message and len(message) < 700, message


@pytest.mark.parametrize(
    ("call", "parts"),
    [(call, parts) for call, *parts in CALLS],
    ids=[f"{i}-{c[1]}" for i, c in enumerate(CALLS)],
)
def test_python(here, call, parts):
    assert_refused(call, parts)


# A command, the wrong value and the fix. `--set` is named only by those that have it here.
COMMANDS = [
    ("trian iris_fnn", "'trian'", "'train'"),
    ("show cifar_cn", "cifar_cn", "cifar_cnn"),
    ("train iris_fnn --epoch 3", "--epoch", "--epochs"),
    ("train iris_fnn --lr 0.1", "'--lr'", "--set learning_rate=0.1"),
    ("train iris_fnn -lr 0.1", "'-lr'", "--set learning_rate=0.1"),
    ("train iris_fnn lr=0.1", "'lr=0.1'", "--set learning_rate=0.1"),
    ("tune iris_fnn --learning-rat 0.1", "--learning-rat", "--set learning_rate=0.1"),
    ("show iris_fnn --optimiser adam", "--optimiser", "--set optimizer=adam"),
    ("train iris_fnn --dropuot 0.1", "--dropuot", "--set dropout=0.1"),
    ("train iris_fnn --epoch 3", "--epoch", "--epochs"),
    ("train iris_fnn --taget y", "--taget", "--target"),
    ("evaluate runs/x --lr 3", "--lr", "kzoo evaluate --help"),
    ("train --lr=0.1 iris_fnn", "--lr=0.1", "--set learning_rate=0.1"),
    ("train iris_fnn --batch-size", "--batch-size", "--set batch_size=VALUE"),
    ("train iris_fnn --set units", "'units'", "--set", "name=value"),
    ("train iris_fnn --set lr=1", "'lr'", "'learning_rate'"),
    ("train iris_fnn --set dropout=2", "dropout=2", "0", "1"),
    ("train iris_fnn --epochs 0", "--epochs 0", "1"),
    ("train iris_fnn --set batch_size=0", "batch_size=0", "1"),
    ("train iris_fnn --seed -1", "--seed -1", "0", "4294967295"),
    ("train iris_fnn --validation 1.5", "--validation 1.5", "0", "1"),
    ("train iris_fnn --test 0.9 --validation 0.5", "--test 0.9", "--validation 0.5", "train"),
    ("train iris_fnn --freeze", "--freeze", "--weights"),
    ("train iris_fnn --weights nowhere", "--weights 'nowhere'", ".keras", ".weights.h5"),
    ("train iris_fnn --out file", "--out 'file'", "file", "folder"),
    ("train iris_fnn --out others --overwrite", "--out 'others'", "files", "folder"),
    ("train iris_fnn --out file/run --epochs 1", "--out 'file/run'", "file", "folder"),
    ("train iris_fnn --out run", "run", "rows.csv", "iris", "--overwrite", "folder"),
    ("train tabular_fnn --data nowhere.csv", "'nowhere.csv'", "iris, wine, breast_cancer"),
    ("train tabular_fnn --data empty.csv", "'empty.csv'", "empty"),
    ("train tabular_fnn --data no_answers.csv", "size, colour", "--target"),
    ("train tabular_fnn --data rows.csv --target slod", "'slod'", "'sold'", "size, colour, sold"),
    ("train tabular_fnn --data cut.npz", "'cut.npz'", ".npz", "zip"),
    ("train tabular_fnn --data pickle.npz", "'pickle.npz'", "allow_pickle"),
    ("train image_cnn --data nothing", "'nothing'", "images", ".txt", "class"),
    ("train image_cnn --data one_class", "'cat'", "'one_class'", "class", "two"),
    ("train image_cnn --data broken", "10 of 12", "cat/1.png", "remove", "50"),
    ("train image_cnn --data rows.csv", "'rows.csv'", "image_cnn", "tabular_fnn, tabular_resnet"),
    (
        "train series_gru --data short_series.csv",
        "'short_series.csv'",
        "4 rows",
        "--set input_shape=12 horizon=4",
    ),
    ("train char_gru --data lines.txt", "'lines.txt'", "3 lines"),
    ("train mnist_cnn", "'mnist.npz'", "KZOO_DATA", "digits_cnn"),
    ("evaluate nowhere", "nowhere", "exist", "kzoo.train"),
    ("evaluate run", "'rows.csv'", "--data"),
    (
        "evaluate run --data rows.csv --split tset",
        "--split 'tset'",
        "'test'",
        "train, validation, test",
    ),
    ("evaluate run --data no_answers.csv", "'sold'", "size, colour"),
    ("predict others rows.csv", "others", "config.json", "kzoo.train"),
    ("predict run nowhere.csv", "'nowhere.csv'", "exist", "files"),
    ("predict run no_size.csv", "'size'", "column", "colour, sold"),
    ("predict run rows.csv --out nowhere/x.csv", "--out 'nowhere/x.csv'", "folder", "'nowhere'"),
    ("predict damaged rows.csv", "damaged/config.json", "JSON", "train"),
    ("predict cut rows.csv", "cut/best.keras", "zip"),
    ("predict headless rows.csv", "headless", "best.keras", "epoch"),
]


@pytest.mark.parametrize(
    ("words", "parts"), [(words, parts) for words, *parts in COMMANDS], ids=[c[0] for c in COMMANDS]
)
def test_command_line(here, capsys, words, parts):
    code = main(words.split())
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert err.startswith("kzoo: error: ") and err.count("\n") == 1 and "Traceback" not in err, err
    assert_names(err, *parts)
    assert ("--set" in err) == any("--set" in part for part in parts), err


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_may_not_be_written(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main(["train", "iris_fnn", "--epochs", "1", "--quiet", "--out", "locked/run"]) == 2
    err = capsys.readouterr().err
    assert_mentions(err, "--out 'locked/run'", str(tmp_path / "locked"), "folder")
    assert err.count("\n") == 1


def test_a_pickle_in_an_npz_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    np.savez("trap.npz", x=np.array([Trap()] * 12, object), y=np.arange(12))
    with pytest.raises(kzoo.KzooError):
        kzoo.load_data("trap.npz")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "sprung").exists()  # the trap would have worked


def test_arrays_larger_than_memory_are_refused_once(tmp_path, monkeypatch):
    np.savez(tmp_path / "large.npz", x=np.zeros((30, 4)), y=np.arange(30))
    monkeypatch.setattr("kzoo.data.arrays._LARGE", 1)
    monkeypatch.setattr("kzoo.data.arrays.free_memory", lambda: 1024)
    with refuses("'large.npz'", "1.0 KiB free") as caught:
        kzoo.load_data(tmp_path / "large.npz")
    assert str(caught.value).count("large.npz") == 1
