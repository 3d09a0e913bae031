"""Bad input, one table: a clear line that names the value and the fix, exit code 2, and nothing lost.

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
    rows = pd.DataFrame({"size": np.arange(30) / 7, "colour": ["red", "blue", "red"] * 10, "sold": ["yes", "no"] * 15})
    rows.to_csv("rows.csv", index=False)
    rows.drop(columns="sold").to_csv("no_answers.csv", index=False)
    rows.drop(columns="size").to_csv("no_size.csv", index=False)
    rows.assign(sold="yes").to_csv("one_answer.csv", index=False)
    rows.assign(sold=np.nan).to_csv("no_answer.csv", index=False)
    rows.head(4).to_csv("four.csv", index=False)
    rows.assign(sold=[*["yes", "no"] * 14, "yes", "perhaps"]).to_csv("lonely.csv", index=False)
    pd.DataFrame({"note": [f"note {i}" for i in range(30)], "sold": rows["sold"]}).to_csv("notes.csv", index=False)
    Path("empty.csv").write_bytes(b"")
    Path("header.csv").write_text("size,colour,sold\n")
    Path("binary.csv").write_bytes(b"\0\1\2" * 500)
    Path("image.pdf").write_bytes(b"%PDF")
    pd.DataFrame({"load": np.sin(np.arange(40))}).to_csv("short_series.csv", index=False)
    pd.DataFrame({"load": ["much", "little"] * 100}).to_csv("words_series.csv", index=False)
    Path("lines.txt").write_text("To be, or not to be.\n" * 2)
    Path("three.txt").write_text("To be\nor not\nto be\n")
    Path("nothing").mkdir()
    x, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
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
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


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

# What is done, and words that the one line must hold: the value, and what to do.
CALLS = [
    # build
    (lambda: kzoo.build("cifar_cn"), "'cifar_cn'", "Did you mean 'cifar_cnn'?"),
    (lambda: kzoo.build("iris_fnn", classes=4), "'classes'", "Did you mean 'outputs'?"),
    (lambda: kzoo.build("iris_fnn", unitz=4), "'unitz'", "Did you mean 'units'?"),
    (lambda: kzoo.build("iris_fnn", filters=4), "'filters'", "It takes: "),
    (lambda: kzoo.build("iris_fnn", units="wide"), "units='wide'", "a whole number"),
    (lambda: kzoo.build("iris_fnn", dropout=1.5), "dropout=1.5", "below 1"),
    (lambda: kzoo.build("iris_fnn", learning_rate=float("nan")), "learning_rate=nan", "above 0"),
    (lambda: kzoo.build("iris_fnn", activation="rely"), "activation='rely'", "relu"),
    (lambda: kzoo.build("text_transformer", width=30, num_heads=4), "num_heads=4", "30"),
    (lambda: kzoo.build("digits_cnn", kernel_size=0), "kernel_size=0", "at least 1"),
    (lambda: kzoo.build("iris_fnn", scale=(1.0,), offset=(0.0,)), "scale", "4"),
    (lambda: kzoo.build("iris_fnn", loss="mse"), "loss='mse'", "Use auto"),
    (lambda: kzoo.build("iris_fnn", schedule="step", warmup=0.1), "warmup=0.1", "set warmup=0"),
    (lambda: kzoo.list_presets(task="vision"), "'vision'", "image_classification"),
    (lambda: kzoo.spec_of("nowhere"), "nowhere", "kzoo.train"),
    # load_data
    (lambda: kzoo.load_data("irs"), "'irs'", "Did you mean 'iris'?"),
    (lambda: kzoo.load_data("nowhere.csv"), "nowhere.csv", "Data sets by name: "),
    (lambda: kzoo.load_data(5), "int", "a DataFrame"),
    (lambda: kzoo.load_data("image.pdf"), "image.pdf", "kzoo reads .csv"),
    (lambda: kzoo.load_data("nothing"), "nothing", "a folder of them for each class"),
    (lambda: kzoo.load_data("loose", preset="image_cnn"), "loose", "one folder per class"),
    (lambda: kzoo.load_data("one_class", preset="image_cnn"), "'cat'", "two are needed"),
    (lambda: kzoo.load_data("hollow", preset="image_cnn"), "'dog'", "fill it or remove it"),
    (lambda: kzoo.load_data("lonely", preset="image_cnn"), "'dog'", "at least two"),
    (lambda: kzoo.load_data("broken", preset="image_cnn"), "10 of 12 images", "1.png"),
    (lambda: kzoo.load_data("loose/0.png"), "0.png", "folder of images for each class"),
    (lambda: kzoo.load_data("texts", preset="text_cnn"), "'cats'", "one class only"),
    (lambda: kzoo.load_data("texts", preset="image_cnn"), "texts", "image_cnn"),
    (lambda: kzoo.load_data("empty.csv"), "empty.csv", "is empty"),
    (lambda: kzoo.load_data("header.csv"), "header.csv", "no rows"),
    (lambda: kzoo.load_data("binary.csv"), "binary.csv", "CSV"),
    (lambda: kzoo.load_data("no_answers.csv"), "size, colour", "target="),
    (lambda: kzoo.load_data("rows.csv", target="slod"), "'slod'", "Did you mean 'sold'?"),
    (lambda: kzoo.load_data("rows.csv", target="sold", drop=["price"]), "'price'", "Columns: "),
    (lambda: kzoo.load_data("rows.csv", target="sold", time="size"), "colour, sold", "no numeric column"),
    (lambda: kzoo.load_data("rows.csv", target="sold", task="ranking"), "'ranking'", "classification"),
    (lambda: kzoo.load_data("rows.csv", target="sold", preset="diabetes_fnn"), "'sold'", "tabular_fnn"),
    (lambda: kzoo.load_data("rows.csv", target="sold", test="no_answers.csv"), "'sold'", "the test table"),
    (lambda: kzoo.load_data("one_answer.csv", target="sold"), "'yes'", "two classes"),
    (lambda: kzoo.load_data("no_answer.csv", target="sold"), "'sold'", "is empty"),
    (lambda: kzoo.load_data("lonely.csv", target="sold"), "'perhaps'", "at least two"),
    (lambda: kzoo.load_data("four.csv", target="sold"), "4", "at least 10"),
    (lambda: kzoo.load_data("notes.csv", target="sold"), "'sold'", "No usable column"),
    (lambda: kzoo.load_data("cut.npz"), "cut.npz", "as .npz arrays"),
    (lambda: kzoo.load_data("pickle.npz"), "pickle.npz", "allow_pickle"),
    (lambda: kzoo.load_data("nameless.npz"), "nameless.npz", "x"),
    (lambda: kzoo.load_data("uneven.npz"), "29", "as many"),
    (lambda: kzoo.load_data((X, Y[:-1])), "29", "as many"),
    (lambda: kzoo.load_data((HOLED, Y)), "row 12", "NaN"),
    (lambda: kzoo.load_data((X, np.where(Y == 2, np.nan, Y))), "y holds 10 NaN", "row 2"),
    (lambda: kzoo.load_data((X, Y + 0.5), task="classification"), "0.5", "whole numbers"),
    (lambda: kzoo.load_data((X.astype(str), Y)), "<U", "CSV"),
    (lambda: kzoo.load_data((PIXELS / 255, Y), preset="digits_cnn"), "divided by 255", "rescale=False"),
    (lambda: kzoo.load_data((PIXELS - 300, Y), preset="digits_cnn"), "-300", "0..255"),
    (lambda: kzoo.load_data((X, Y), preset="digits_cnn"), "(30, 4)", "(N, H, W, C)"),
    (lambda: kzoo.load_data((X, Y), preset="text_cnn"), "fractions", "whole numbers"),
    (lambda: kzoo.load_data("short_series.csv", preset="series_gru"), "24 ahead", "use input_shape=12, horizon=4"),
    (lambda: kzoo.load_data("words_series.csv", preset="series_gru"), "load", "no numeric column"),
    (lambda: kzoo.load_data("lines.txt", preset="char_gru"), "lines.txt", "fewer than 3 lines"),
    (lambda: kzoo.load_data("three.txt", preset="char_gru"), "three.txt", "a longer text"),
    (lambda: kzoo.load_data("mnist"), "mnist.npz", "KZOO_DATA"),
    (lambda: kzoo.load_data("cifar10", preset="cifar_cnn"), "cifar-10-python.tar.gz", "digits_cnn"),
    (lambda: kzoo.load_data("iris", preset="digits_cnn"), "'iris'", "digits_cnn"),
    (lambda: kzoo.load_data("iris", validation=1.5), "validation=1.5", "below 1"),
    (lambda: kzoo.load_data("iris", test=0.9, validation=0.5), "test=0.9", "nothing to train on"),
    (lambda: kzoo.load_data("iris", seed=-1), "seed=-1", "0 or more"),
    # train
    (lambda: train("iris_fn"), "'iris_fn'", "Did you mean 'iris_fnn'?"),
    (lambda: train("iris_fnn", epochs=0), "epochs=0", "at least 1"),
    (lambda: train("iris_fnn", batch_size=0), "batch_size=0", "at least 1"),
    (lambda: train("iris_fnn", seed=-1), "seed=-1", "from 0"),
    (lambda: train("iris_fnn", data_seed=0.5), "data_seed=0.5", "whole number"),
    (lambda: train("iris_fnn", lr=0.1), "'lr'", "Did you mean 'learning_rate'?"),
    (lambda: train("iris_fnn", outputs=7), "outputs=7", "Leave it out"),
    (lambda: train("iris_fnn", loss="mae"), "loss='mae'", "Use auto"),
    (lambda: train("iris_fnn", metrics=("auc",)), "'auc'", "accuracy"),
    (lambda: train("iris_fnn", monitor="val_auc"), "'val_auc'", "val_loss"),
    (lambda: train("iris_fnn", callbacks="standart"), "'standart'", "standard"),
    (lambda: train("iris_fnn", callbacks=["standard"]), "'standard'", "list of keras callbacks"),
    (lambda: train("iris_fnn", precision="float8"), "'float8'", "mixed_bfloat16"),
    (lambda: train("iris_fnn", out="file"), "'file'", "Name a folder"),
    (lambda: train("iris_fnn", out="others", overwrite=True), "'others'", "Name a new folder"),
    (lambda: train("iris_fnn", out="file/run"), "file/run", "is a file"),
    (lambda: train("iris_fnn", out="run"), "run", "overwrite=True"),
    (lambda: train("iris_fnn", out="damaged"), "damaged", "is damaged"),
    (lambda: train("iris_fnn", out="foreign", overwrite=True), "foreign", "Name a new folder"),
    (lambda: train("iris_fnn", freeze="*"), "freeze=", "weights="),
    (lambda: train("iris_fnn", weights="nowhere"), "'nowhere'", "does not exist"),
    (lambda: train("iris_fnn", weights="cut/best.keras"), "best.keras", "cannot be read"),
    (lambda: train("digits_cnn", "rows.csv", target="sold"), "digits_cnn", "rows"),
    (lambda: train(compiled()), "data=", "a folder"),
    (lambda: train("text_cnn", "rows.csv", target="size"), "size", "Use"),
    (lambda: train("diabetes_fnn", label_smoothing=0.1), "label_smoothing", "diabetes_fnn"),
    (lambda: train("mnist_fnn"), "mnist.npz", "KZOO_DATA"),
    (lambda: train(keras.Sequential(name="mine"), (X, Y)), "'mine'", "compile"),
    # runs
    (lambda: kzoo.Run("nowhere"), "nowhere", "does not exist"),
    (lambda: kzoo.Run("others"), "others", "config.json"),
    (lambda: kzoo.Run("foreign").config, "foreign", "kzoo.train writes"),
    (lambda: kzoo.evaluate("run"), "rows.csv", "data="),
    (lambda: kzoo.evaluate("run", "rows.csv", split="tset"), "split='tset'", "validation"),
    (lambda: kzoo.evaluate("run", "no_answers.csv"), "'sold'", "Columns: "),
    (lambda: kzoo.evaluate("run", "lonely.csv"), "'perhaps'", "lacks"),
    (lambda: kzoo.evaluate("damaged", "rows.csv"), "config.json", "is damaged"),
    (lambda: kzoo.predict("others", FRAME), "others", "is not a run"),
    (lambda: kzoo.predict("run", "no_size.csv"), "'size'", "olumn"),
    (lambda: kzoo.predict("run", X), "4 columns", "size, colour"),
    (lambda: kzoo.predict("run", []), "no inputs", "predict"),
    (lambda: kzoo.predict("damaged", FRAME), "config.json", "Train again"),
    (lambda: kzoo.predict("cut", FRAME), "best.keras", "cannot be read"),
    (lambda: kzoo.predict("headless", FRAME), "best.keras", "headless"),
]


@pytest.mark.parametrize(("call", "value", "fix"), CALLS, ids=[f"{i}-{case[1]}" for i, case in enumerate(CALLS)])
def test_python(here, call, value, fix):
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    line = str(caught.value)
    assert value in line and fix in line and "\n" not in line and len(line) < 700, line


COMMANDS = [
    ("trian iris_fnn", "Did you mean 'train'?"),
    ("show cifar_cn", "Did you mean 'cifar_cnn'?"),
    ("train iris_fnn --epoch 3", "Did you mean '--epochs'?"),
    ("train iris_fnn --lr 0.1", "Did you mean '--set learning_rate=0.1'?"),
    ("train iris_fnn -lr 0.1", "Did you mean '--set learning_rate=0.1'?"),
    ("train iris_fnn lr=0.1", "Did you mean '--set learning_rate=0.1'?"),
    ("tune iris_fnn --learning-rat 0.1", "Did you mean '--set learning_rate=0.1'?"),
    ("show iris_fnn --optimiser adam", "Did you mean '--set optimizer=adam'?"),
    ("train iris_fnn --dropuot 0.1", "Did you mean '--set dropout=0.1'?"),
    ("train iris_fnn --epoch 3", "Did you mean '--epochs'?"),
    ("train iris_fnn --taget y", "Did you mean '--target'?"),
    ("evaluate runs/x --lr 3", "does not know '--lr'. See"),
    ("train --lr=0.1 iris_fnn", "Did you mean '--set learning_rate=0.1'?"),
    ("train iris_fnn --batch-size", "Did you mean '--set batch_size=VALUE'?"),
    ("train iris_fnn --set units", "name=value"),
    ("train iris_fnn --set lr=1", "Did you mean 'learning_rate'?"),
    ("train iris_fnn --set dropout=2", "dropout=2"),
    ("train iris_fnn --epochs 0", "--epochs 0 is out of range"),
    ("train iris_fnn --set batch_size=0", "batch_size=0"),
    ("train iris_fnn --seed -1", "--seed -1 must be"),
    ("train iris_fnn --validation 1.5", "--validation 1.5"),
    ("train iris_fnn --test 0.9 --validation 0.5", "--test 0.9"),
    ("train iris_fnn --freeze", "--freeze needs --weights: "),
    ("train iris_fnn --weights nowhere", "nowhere"),
    ("train iris_fnn --out file", "'file'"),
    ("train iris_fnn --out others --overwrite", "'others'"),
    ("train iris_fnn --out file/run --epochs 1", "file/run"),
    ("train iris_fnn --out run", "Pass --overwrite, or another folder."),
    ("train tabular_fnn --data nowhere.csv", "nowhere.csv"),
    ("train tabular_fnn --data empty.csv", "empty.csv"),
    ("train tabular_fnn --data no_answers.csv", "which column to predict with --target."),
    ("train tabular_fnn --data rows.csv --target slod", "Did you mean 'sold'?"),
    ("train tabular_fnn --data cut.npz", "as .npz arrays"),
    ("train tabular_fnn --data pickle.npz", "allow_pickle"),
    ("train image_cnn --data nothing", "nothing"),
    ("train image_cnn --data one_class", "'cat'"),
    ("train image_cnn --data broken", "10 of 12 images"),
    ("train image_cnn --data rows.csv", "image_cnn"),
    ("train series_gru --data short_series.csv", "use --set input_shape="),
    ("train char_gru --data lines.txt", "fewer than 3 lines"),
    ("train mnist_cnn", "mnist.npz"),
    ("evaluate nowhere", "nowhere"),
    ("evaluate run", "say --data to score it"),
    ("evaluate run --data rows.csv --split tset", "tset"),
    ("evaluate run --data no_answers.csv", "'sold'"),
    ("predict others rows.csv", "others"),
    ("predict run nowhere.csv", "nowhere.csv"),
    ("predict run no_size.csv", "'size'"),
    ("predict run rows.csv --out nowhere/x.csv", "nowhere"),
    ("predict damaged rows.csv", "config.json"),
    ("predict cut rows.csv", "best.keras"),
    ("predict headless rows.csv", "best.keras"),
]


@pytest.mark.parametrize(("words", "says"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_command_line(here, capsys, words, says):
    code = main(words.split())
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert err.startswith("kzoo: error: ") and err.count("\n") == 1 and "Traceback" not in err, err
    assert says in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main(["train", "iris_fnn", "--epochs", "1", "--quiet", "--out", "locked/run"]) == 2
    err = capsys.readouterr().err
    assert "locked" in err and "may not be written" in err and err.count("\n") == 1


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
