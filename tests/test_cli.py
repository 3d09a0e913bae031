"""The command line, called by `main([...])`; in a process of its own where the process itself is tested."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from messages import assert_mentions
from processor import in_units

import kzoo
import kzoo.training
from kzoo.cli import COMMANDS, main, predict, shared
from kzoo.cli.option_names import with_option_names
from kzoo.cli.train import scores_line
from kzoo.problems.tasks import problem
from kzoo.zoo import results
from kzoo.zoo.registry import meaning_of
from kzoo.zoo.registry.arguments import ARGUMENTS

ROOT = Path(__file__).parents[1]
CALL = "import sys; from kzoo.cli import main; sys.exit(main())"
ENV = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def call(capsys):
    """Run a command; return its exit code, stdout and stderr."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


# ---------------------------------------------------------------- the process


def test_list_starts_fast_and_imports_nothing_heavy():
    heavy = "{'keras', 'tensorflow', 'numpy', 'pandas', 'rich', 'matplotlib', 'shtab'}"
    check = f"from kzoo.cli import main; main(['list']); import sys; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], env=ENV, check=True, capture_output=True)
    before = os.times()
    for _ in range(3):
        subprocess.run(
            [sys.executable, "-c", CALL, "list"], env=ENV, check=True, capture_output=True
        )
    after = os.times()
    used = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    assert in_units(used / 3) <= 35


def test_a_pipe_that_closes_early_gets_no_traceback():
    for words in (["list"], ["list", "--json"], ["--help"]):
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(0.3); " + CALL, *words],
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_terminal_without_unicode_gets_question_marks_not_a_traceback():
    env = ENV | {"PYTHONIOENCODING": "ascii"}
    code = "import sys; from kzoo.cli import shared; shared.replace_unencodable(); print('3×3 猫')"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert done.stdout.split() == [b"3?3", b"?"]


# ---------------------------------------------------------------- list and help


def test_list_shows_every_preset_once_in_eighty_columns(call):
    code, out, err = call("list")
    assert (code, err) == (0, "")
    for name in kzoo.list_presets():
        assert sum(line.split()[:1] == [name] for line in out.splitlines()) == 1
    assert max(map(len, out.splitlines())) <= 80
    assert "\033" not in out


def test_list_filters_as_list_presets_does(call):
    def names(*words):
        return [preset["name"] for preset in json.loads(call("list", "--json", *words)[1])]

    assert names("--task", "text_classification", "--family", "lstm") == kzoo.list_presets(
        task="text_classification", family="lstm"
    )
    assert names("cifar_*", "iris_fnn", "--exclude", "*_vit") == kzoo.list_presets(
        ["cifar_*", "iris_fnn"], exclude="*_vit"
    )
    assert names("--max-params", "50k") == kzoo.list_presets(max_params=50_000)
    assert names("--dataset", "iris") == kzoo.list_presets(dataset="iris")


def test_list_ranks_measured_presets_and_baselines(call):
    def ranked(*words):
        return json.loads(call("list", "--data", "breast_cancer", "--json", *words)[1])

    best_first = ranked()
    rows = [row for row in results.rows() if row["data"] == "breast_cancer"]
    assert [entry["score"] for entry in best_first] == sorted(
        (entry["score"] for entry in best_first), reverse=True
    )
    assert {entry["preset"] for entry in best_first if entry["preset"]} == {
        row["preset"] for row in rows
    }
    baselines = {entry["baseline"] for entry in best_first if entry["baseline"]}
    assert baselines >= {"most frequent class", "logistic regression"}
    for field in ("seconds", "parameters"):
        by_field = ranked("--sort", field)
        values = [entry[field] for entry in by_field if entry["preset"]]
        assert values == sorted(values) and all(
            entry["baseline"] for entry in by_field[len(values) :]
        )
    assert [entry["preset"] for entry in ranked("cancer_*") if entry["preset"]] == ["cancer_fnn"]
    errors = [
        row for row in json.loads(call("list", "--data", "sine", "--json")[1]) if row["preset"]
    ]
    # a low error is better
    assert [entry["score"] for entry in errors] == sorted(entry["score"] for entry in errors)

    printed = [
        line for line in call("list", "--data", "breast_cancer")[1].splitlines() if "%" in line
    ]
    assert [line for line in printed if "most frequent class" in line] == printed[-1:]
    by_size = [
        entry["params"] for entry in json.loads(call("list", "--sort", "parameters", "--json")[1])
    ]
    assert by_size == sorted(by_size)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(call, command):
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "")
    assert out.count(f"kzoo {command}") >= 3 and "--json" in out
    assert max(map(len, out.splitlines())) <= 80


def test_without_a_command_all_commands_are_listed(call):
    code, out, _ = call()
    assert code == 0 and all(command in out for command in COMMANDS)
    assert call("--version")[1].split() == ["kzoo", kzoo.__version__]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_options_and_presets(call, shell):
    code, out, _ = call("--print-completion", shell)
    assert code == 0
    assert "cifar_cnn" in out and "--data-seed" in out and "evaluate" in out


COMPLETED = {
    # the text before the cursor -> the words that bash offers
    "tune iris_fnn --engine b": ["bayesian"],
    "tune iris_fnn --space ": ["quick", "standard", "full"],
    "train iris_fnn --callbacks t": ["tuning", "teaching"],
    "train iris_fnn --precision mixed_b": ["mixed_bfloat16"],
    "train iris_fnn --task text_": [
        "text_classification",
        "text_count",
        "text_multilabel_classification",
        "text_ordinal",
        "text_quantiles",
        "text_regression",
    ],
    "list --family g": ["gru"],
    "export runs/x --formats sav": ["saved_model"],
    "export runs/x --quantize i": ["int8"],
    "evaluate runs/x --split v": ["validation"],
    "show iris_fnn --set learning_r": ["learning_rate="],
    "train iris_fnn --set epochs=2 learning_r": ["learning_rate="],
    "train cifar_m": ["cifar_mobile"],
}


def test_bash_completes_values(call, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = tmp_path / "kzoo.bash"
    script.write_text(call("--print-completion", "bash")[1])
    lines = [f"source {script}"]
    for words in COMPLETED:
        typed = ["kzoo", *words.split(" ")]
        lines.append(
            f"COMP_WORDS=({' '.join(repr(word) for word in typed)}); COMP_CWORD={len(typed) - 1}"
        )
        lines.append("_kzoo; echo ${COMPREPLY[*]}")
    done = subprocess.run(
        [bash, "--norc"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert dict(zip(COMPLETED, map(str.split, done.stdout.splitlines()), strict=True)) == COMPLETED


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_the_same_values(call, shell):
    """No such shell need be here: each list of words stands in the line of its option."""
    lines = call("--print-completion", shell)[1].splitlines()
    for option, values in (
        ("engine", "auto bayesian grid hyperband optuna random"),
        ("space", "quick standard full"),
        ("resume", "auto must never"),
        ("callbacks", "standard quick long"),
        ("formats", "keras saved_model onnx"),
        ("split", "train validation test"),
    ):
        mark = f"-l {option} " if shell == "fish" else f"--{option}["
        assert any(mark in line and values in line for line in lines), option
    assert any("learning_rate=" in line for line in lines)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2", -2),
        ("0.2", 0.2),
        ("1e-3", 1e-3),
        ("relu", "relu"),
        ("true", True),
        ("False", False),
        ("none", None),
        ("32,64", (32, 64)),
        ("64,", (64,)),
        ("(32, 64)", (32, 64)),
        ("[0.1]", (0.1,)),
        ("", ()),
        ("()", ()),
        ("'3'", "3"),
        ('"a,b",c', ("a,b", "c")),
        ("flip,shift", ("flip", "shift")),
    ],
)
def test_values_of_set(text, value):
    parsed = shared.parse_value(text)
    assert parsed == value and type(parsed) is type(value)


def test_every_value_of_every_preset_survives_being_shown_and_read():
    for name in kzoo.list_presets():
        preset = kzoo.get_preset(name)
        for key, value in {**preset.config, **preset.training}.items():
            read = shared.parse_value(shared.show_value(value))
            assert ARGUMENTS[key].check(key, read) == value, (name, key)
    assert shared.parse_value(shared.show_value(0.48687557313024665)) == 0.48687557313024665


def test_set_takes_several_at_once_and_again(call):
    words = ["--set", "filters=8,16", "dropout=0.1", "--set", "units=4"]
    shown = json.loads(call("show", "digits_cnn", "--json", *words)[1])
    values = {setting["name"]: setting["value"] for setting in shown["network"]}
    assert (values["filters"], values["dropout"], values["units"]) == ([8, 16], 0.1, [4])
    assert next(x for x in shown["layers"] if x["name"] == "block2_conv1")["output_shape"][-1] == 16


# ---------------------------------------------------------------- show


def test_every_name_that_can_be_set_has_a_meaning():
    for name in kzoo.list_presets():
        preset = kzoo.get_preset(name)
        for key in [*preset.config, *preset.training]:
            assert len(meaning_of(key, preset.family)) > 5, (name, key)
        assert problem(preset.task).outputs_text(preset.config, preset.training)


def test_show_fits_eighty_columns(call):
    code, out, err = call("show", "digits_cnn")
    assert (code, err) == (0, "")
    (row,) = (
        row for row in results.rows() if row["preset"] == "digits_cnn" and row["data"] == "digits"
    )
    assert_mentions(
        out,
        "100,458",
        "3.05 million",
        "FLOPs",
        "block2_conv2",
        "4x4x64",
        "0..255",
        "10 classes",
        "learning_rate",
        meaning_of("learning_rate", "cnn"),
        kzoo.get_preset("digits_cnn").reference,
        f"{100 * row['score']:.1f}%",
        row["date"],
        "kzoo train digits_cnn",
    )
    assert max(map(len, out.splitlines())) <= 80


def test_show_json_is_one_document(call):
    shown = json.loads(call("show", "imdb_lstm", "--json")[1])
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])
    assert shown["goes_in"]["shape"] == [200] and shown["goes_in"]["dtype"] == "int32"
    assert all(
        setting["meaning"] and setting["legal"] for setting in shown["network"] + shown["training"]
    )


# Keras, NumPy and all that takes as long cannot be imported in a process that begins with this.
WITHOUT = """
import sys
for name in ("keras", "tensorflow", "jax", "torch", "numpy", "pandas", "sklearn", "matplotlib"):
    sys.modules[name] = None
"""


def shown_without_keras(*words):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + CALL, "show", *map(str, words)],
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_preset_is_shown_without_keras_as_with_it(call):
    assert shown_without_keras("cifar_cnn") == call("show", "cifar_cnn")[1]
    stored = json.loads(shown_without_keras("imdb_lstm", "--json"))
    # a setting has it built
    built = json.loads(call("show", "imdb_lstm", "--json", "--set", "dropout=0.3")[1])
    assert {name for name, part in stored.items() if part != built[name]} == {"network"}
    assert [s["name"] for s in stored["network"] if s not in built["network"]] == ["dropout"]


def test_a_run_is_shown_without_keras(call, iris):
    out = shown_without_keras(iris / "run")
    assert (
        "units" in out
        and "16,8" in out
        and "trained on" in out
        and "accuracy" in out
        and "--set" not in out
    )
    shown = json.loads(shown_without_keras(iris / "run", "--json"))
    model = kzoo.Run(iris / "run").model
    assert [(layer["name"], layer["parameters"]) for layer in shown["layers"]] == [
        (layer.name, layer.count_params()) for layer in model.layers
    ]
    assert [layer["output_shape"] for layer in shown["layers"]] == [
        list(x.output.shape[1:]) for x in model.layers
    ]
    assert (shown["parameters"], shown["task"]) == (model.count_params(), "tabular_classification")


def test_a_run_of_a_kzoo_that_stored_no_layers_is_shown_with_keras(call, iris, tmp_path):
    shutil.copytree(iris / "run", tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    network = config.pop("network")
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    shown = json.loads(call("show", tmp_path / "old", "--json")[1])
    assert [list(layer.values()) for layer in shown["layers"]] == network["layers"]
    code, _, err = call("show", tmp_path / "old", "--set", "units=4")
    assert code == 2
    assert_mentions(err, "--set", "--code", "presets", str(tmp_path / "old"))


def test_a_score_of_one_run_has_no_empty_brackets(call):
    """`1 run ()`: a measurement that has no other scores."""
    alone = [row for row in results.rows() if not row["others"]]
    assert "cifar_cnn" in {row["preset"] for row in alone}
    for row in alone:
        blocks = [
            block for block in call("show", row["preset"])[1].split("\n\n") if row["date"] in block
        ]
        assert any(
            f"{100 * row['score']:.1f}%" in block for block in blocks
        ) and "()" not in "".join(blocks)


def test_show_draws_the_network(call, tmp_path):
    for file, begins in (("net.png", b"\x89PNG"), ("net.svg", b"<?xml")):
        code, out, _ = call("show", "iris_fnn", "--plot", tmp_path / file)
        assert code == 0 and file in out
        assert (tmp_path / file).read_bytes().startswith(begins)


def test_show_draws_the_graph_where_graphviz_is_installed(call, tmp_path, monkeypatch):
    file = tmp_path / "net.svg"
    monkeypatch.setattr("kzoo.cli.show.find_spec", lambda name: None)
    _, out, _ = call("show", "iris_fnn", "--plot", file)
    assert_mentions(out, "as a table", "pydot", "Graphviz")
    monkeypatch.setattr("kzoo.cli.show.find_spec", lambda name: name)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(
        "keras.utils.plot_model", lambda model, to_file, **_: to_file.write_text(model.name)
    )
    _, out, _ = call("show", "iris_fnn", "--plot", file)
    assert file.read_text() == "iris_fnn" and "as a table" not in out


# ---------------------------------------------------------------- train, evaluate, predict


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A folder with a run of iris_fnn, trained by the command line, and rows to predict."""
    folder = tmp_path_factory.mktemp("cli")
    words = ["train", "iris_fnn", "--epochs", "15", "--out", str(folder / "run")]
    words += ["--set", "units=16,8", "callbacks=quick", "batch_size=8", "--json", "--quiet"]
    assert main(words) == 0
    (folder / "rows.csv").write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n"
    )
    return folder


@pytest.mark.usefixtures("untraced")
def test_train_prints_scores_the_folder_and_the_next_commands(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("train", "iris_fnn", "--epochs", 2)
    assert code == 0
    run = os.path.join("runs", "iris_fnn-01")
    best = kzoo.Run(run).summary["best_epoch"]
    # the best accuracy may be of another epoch
    assert_mentions(out, f"epoch {best} of 2", "val_loss", "accuracy")
    assert_mentions(
        out, os.path.join(run, "curves.png"), f"kzoo predict {run}", "tensorboard --logdir"
    )
    assert (tmp_path / run / "curves.png").is_file()
    assert "1/2" in err and "1/2" not in out  # progress goes to stderr
    assert max(map(len, out.splitlines())) <= 80


def test_settings_reach_the_run(iris):
    config = kzoo.Run(iris / "run").config["spec"]
    assert config["config"]["units"] == [16, 8]
    assert config["training"]["epochs"] == 15 and config["training"]["batch_size"] == 8


@pytest.mark.usefixtures("untraced")
def test_a_tilde_is_the_users_folder(call, tmp_path, monkeypatch):
    """Shells do not expand it after an equals sign, and a notebook has no shell."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    rows = [f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(60)]
    (tmp_path / "home" / "rows.csv").write_text("\n".join(["x,y,label", *rows]))
    words = [
        "train",
        "tabular_fnn",
        "--target=label",
        "--epochs=1",
        "--no-baselines",
        "--quiet",
        "--set",
        "units=4",
    ]
    assert call(*words, "callbacks=quick", "--data=~/rows.csv", "--out=~/run")[0] == 0
    run = kzoo.Run("~/run")
    assert (
        run.path == tmp_path / "home" / "run"
        and kzoo.evaluate("~/run", "~/rows.csv")["accuracy"] >= 0
    )
    small = dict(
        target="label",
        epochs=1,
        units=(4,),
        callbacks="quick",
        check=False,
        progress=False,
        baselines=False,
    )
    second = kzoo.train("tabular_fnn", "~/rows.csv", out="~/second", weights="~/run", **small)
    assert second.path == tmp_path / "home" / "second" and second.config["weights"] == "run"
    assert call("compare", "~/run", "~/second", "--csv=~/table.csv")[0] == 0
    assert {p.name for p in (tmp_path / "home").iterdir()} == {
        "rows.csv",
        "run",
        "second",
        "table.csv",
    }
    assert not list((tmp_path / "work").iterdir())
    Path("~").mkdir()
    assert call(*words, "callbacks=quick", "--data=~/rows.csv", "--out=./~/own")[0] == 0
    assert (
        Path("~", "own", "config.json").exists()
        and kzoo.evaluate("./~/own", "~/rows.csv")["accuracy"] >= 0
    )


def test_train_json_is_a_single_document_even_when_the_run_exists(call, iris):
    words = ["train", "iris_fnn", "--epochs", "15", "--out", str(iris / "run")]
    words += ["--set", "units=16,8", "callbacks=quick", "batch_size=8"]
    code, out, _ = call(*words, "--json")
    document = json.loads(out)
    assert (
        code == 0 and document["interrupted"] is False and document["summary"]["best_epoch"] <= 15
    )
    code, out, err = call(*words, "--seed", 3)
    assert (code, out) == (2, "") and "--overwrite" in err


@pytest.mark.usefixtures("untraced", "undrawn")
def test_prints_of_libraries_do_not_mix_with_the_document(call, tmp_path, monkeypatch):
    whole = kzoo.training.train

    def chatty(*args, **options):
        print("a library says hello")
        return whole(*args, **options)

    monkeypatch.setattr("kzoo.training.train", chatty)
    words = ["--epochs", 1, "--out", tmp_path / "run", "--set", "callbacks=quick"]
    code, out, err = call("train", "iris_fnn", *words, "--json")
    assert code == 0 and json.loads(out)["summary"]["epochs"] == 1 and "hello" in err


def test_evaluate_gives_the_scores_of_the_run(call, iris):
    code, out, _ = call("evaluate", iris / "run", "--json")
    scores = json.loads(out)["scores"]
    assert code == 0
    assert scores["accuracy"] == pytest.approx(kzoo.Run(iris / "run").summary["test"]["accuracy"])
    assert f"{scores['accuracy']:.4g}" in call("evaluate", iris / "run")[1]


def test_predict_writes_labels_and_probabilities(call, iris, tmp_path):
    out = tmp_path / "answers.csv"
    code, text, _ = call("predict", iris / "run", iris / "rows.csv", "--out", out)
    assert code == 0 and "setosa" in text and str(out) in text
    header, *rows = out.read_text(encoding="utf-8-sig").splitlines()
    assert header == "input,label,p_setosa,p_versicolor,p_virginica"
    assert rows[0].split(",")[1] == "setosa" and len(rows) == 2
    document = json.loads(call("predict", iris / "run", iris / "rows.csv", "--top", 2, "--json")[1])
    first = document["predictions"][0]
    assert first["label"] == first["classes"][0]["label"] and len(first["classes"]) == 2
    assert first["classes"][0]["probability"] >= first["classes"][1]["probability"]


def test_large_values_are_printed_without_an_exponent():
    document = {"predictions": [{"input": 0, "values": [471412.3, 0.0123456, -12.5]}]}
    assert predict.render(document, None) == "0  471412, 0.012346, -12.5"
    scores = {"mae": 47141.6, "r2": 0.8123456, "examples": 20_000}
    assert scores_line(scores) == "mae 47,142, r2 0.8123, examples 20,000"


@pytest.mark.usefixtures("untraced", "undrawn")
def test_ctrl_c_keeps_the_best_model_and_exits_130(call, tmp_path, monkeypatch):
    from kzoo.training.progress import ProgressBar

    whole = ProgressBar.on_epoch_end

    def interrupt(self, epoch, logs=None):
        whole(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "on_epoch_end", interrupt)
    code, out, _ = call("train", "iris_fnn", "--out", tmp_path / "run", "--set", "callbacks=quick")
    assert code == 130
    assert_mentions(out, str(tmp_path / "run"), "epoch 2", "val_loss")
    assert (tmp_path / "run" / "best.keras").is_file()


# ---------------------------------------------------------------- bad input


BAD = [
    (["lst"], "'lst'", "'list'"),
    (["list", "cifar_cn"], "cifar_cn", "cifar_cnn"),
    (["list", "--family", "ltsm"], "'ltsm'", "'lstm'", "cnn, fnn, frozen_backbone, linear"),
    (["list", "--task", "images"], "'images'", "image_classification, text_classification"),
    (["list", "--max-params", "many"], "--max-params 'many'", "50000", "100k", "2M"),
    (["list", "--data", "digit"], "'digit'", "--data", "digits"),
    (["list", "--sort", "score"], "--sort score", "--data", "digits"),
    (
        ["list", "--sort", "size", "--data", "sine"],
        "--sort",
        "'size'",
        "'seconds'",
        "'parameters'",
        "list --help",
    ),
    (["list", "--famly", "lstm"], "'--famly'", "--family"),
    (["show"], "PRESET", "kzoo show --help"),
    (["show", "iris_fn"], "iris_fn", "iris_fnn"),
    (["show", "iris_fnn", "--set", "lr=1"], "'lr'", "'learning_rate'"),
    (["show", "iris_fnn", "--set", "units"], "--set", "name=value", "'units'"),
    (["show", "iris_fnn", "--set", "units=0"], "units=0", "1"),
    (["show", "iris_fnn", "--set", "units=wide"], "units='wide'", "1"),
    (["show", "iris_fnn", "--plot", "net.gif"], "--plot 'net.gif'", ".png", ".svg", ".pdf"),
    (
        ["show", "iris_fnn", "--plot", "nowhere/net.png"],
        "--plot 'nowhere/net.png'",
        "folder",
        "'nowhere'",
    ),
    (["train", "iris_fnn", "--epochs", "two"], "--epochs", "'two'"),
    (["train", "iris_fnn", "--epochs", "0"], "--epochs 0", "1"),
    (["train", "iris_fnn", "--epochs", "3", "--set", "epochs=4"], "epochs", "--epochs", "--set"),
    (["train", "iris_fnn", "--set", "seed=4"], "'seed'", "--seed", "--set"),
    (["train", "iris_fnn", "--data", "nowhere.csv"], "'nowhere.csv'", "iris, wine, breast_cancer"),
    (["train", "iris_fnn", "--data", "iriss"], "'iriss'", "'iris'"),
    (
        ["train", "iris_fnn", "--precision", "half"],
        "--precision 'half'",
        "auto, float32, mixed_bfloat16",
    ),
    (["train", "iris_fnn", "--seed", "-1"], "--seed -1", "0", "4294967295"),
    (["train", "iris_fnn", "--freeze"], "--freeze", "--weights"),
    (["train", "iris_fnn", "--weights", "nowhere"], "--weights 'nowhere'", ".keras", ".weights.h5"),
    (
        ["train", "iris_fnn", "--callbacks", "standart"],
        "--callbacks 'standart'",
        "'standard'",
        "standard, quick, long",
    ),
    (["evaluate", "nowhere"], "nowhere", "exist", "kzoo.train"),
    (["predict", "nowhere", "x.png"], "nowhere", "exist", "kzoo.train"),
    (["predict", "nowhere"], "INPUT", "kzoo predict --help"),
    (["predict", "nowhere", "x", "--top", "0"], "--top 0", "1"),
    (["predict", "nowhere", "x", "--out", "x.xlsx"], "--out 'x.xlsx'", ".csv"),
]


@pytest.mark.parametrize(
    ("words", "parts"),
    [(words, parts) for words, *parts in BAD],
    ids=[" ".join(words) for words, *_ in BAD],
)
def test_bad_input_is_one_line_and_exit_2(call, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*words)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1 and err.startswith("kzoo: error: "), err
    assert_mentions(err, *parts)
    assert not any(tmp_path.iterdir())


def test_bad_input_of_a_run_that_exists(call, iris, tmp_path):
    run, rows = iris / "run", iris / "rows.csv"
    for words, *parts in (
        (
            ["evaluate", run, "--split", "tets"],
            "--split 'tets'",
            "'test'",
            "train, validation, test",
        ),
        (["evaluate", run, "--tta", "mirror"], "--tta 'mirror'", "images", "rows"),
        (["evaluate", run, "--target", "colour"], "--target 'colour'", "tables", "run"),
        (
            ["evaluate", run, "--data", "wine", "--target", "colour"],
            "--target 'colour'",
            "wine",
            "tables",
        ),
        (
            ["check", run, "--data", "iris", "--target", "colour"],
            "--target 'colour'",
            "iris",
            "tables",
        ),
        (["check", run, "--data", rows, "--set", "units=9"], "units=", "training", str(run)),
        (["check", run, "--data", rows, "--drop", "age"], "--drop", "training", str(run)),
        (
            ["check", run, "--data", rows, "--validation", "0.3"],
            "--validation",
            "training",
            str(run),
        ),
        (["predict", run, rows, "--tta", "flip"], "--tta 'flip'", "mirror, shift"),
        (["predict", run, tmp_path / "no.csv"], str(tmp_path / "no.csv"), "exist", "files"),
        (["predict", run, rows, rows], "table", "2 inputs"),
        (
            ["predict", run, rows, "--out", tmp_path / "no" / "x.csv"],
            "--out",
            "folder",
            repr(str(tmp_path / "no")),
        ),
    ):
        code, out, err = call(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert_mentions(err, *parts)


def test_faults_of_the_machine_are_one_line_too():
    full = OSError(errno.ENOSPC, "No space left on device", "runs/x/best.keras")
    for error, expected, *parts in (
        (full, 2, "runs/x/best.keras", "disk", "--out"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x", "permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), 2, "/x", "file or folder"),
        (ValueError("first\nsecond"), 2, "first", "--debug"),
        (MemoryError(), 2, "memory", "--set batch_size=16"),
        (
            ZeroDivisionError("division by zero"),
            1,
            "ZeroDivisionError",
            "division by zero",
            "--debug",
        ),
    ):
        code, line = shared.exit_code_and_line(error)
        assert code == expected and "\n" not in line
        assert_mentions(line, *parts)


def test_debug_raises_the_error(call):
    with pytest.raises(kzoo.KzooError):
        call("show", "cifar_cn", "--debug")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Say which column with target=. Columns: a.",
            "Say which column with --target. Columns: a.",
        ),
        (
            "seed=-1 must be a number; data_seed='x' too.",
            "--seed -1 must be a number; --data-seed 'x' too.",
        ),
        ("Pass overwrite=True, or check=False.", "Pass --overwrite, or --no-check."),
        ("Use folds=None, or folds=5.", "Use no --folds, or --folds 5."),
        (
            "labels: add labels='onehot'. (warmup=0.1)",
            "labels: add --set labels='onehot'. (warmup=0.1)",
        ),
        ("Or use input_shape=24, horizon=1.5.", "Or use --set input_shape=24 horizon=1.5."),
        ("Use seed=3, epochs=2.", "Use --seed 3, epochs=2."),
        ("say columns={'zip': 'category'}.", "say --column zip=category."),
        ("Say time='when', or target='my price'.", "Say --time when, or --target 'my price'."),
        (
            "set warmup=0; Set warmup=0, or columns=.",
            "use --set warmup=0; Use --set warmup=0, or --column.",
        ),
        (
            "kzoo check fnn --set seed=1 'units=8 9' folds=5 lists all; check=False trains.",
            "kzoo check fnn --set seed=1 'units=8 9' folds=5 lists all; --no-check trains.",
        ),
        ("columns={'my price': {'decimal': ','}}", "--column 'my price=number:decimal=,'"),
        (
            "metrics=('a', 'b') and x.seed=3, mytarget=, f=2",
            "metrics=('a', 'b') and x.seed=3, mytarget=, f=2",
        ),
    ],
)
def test_python_arguments_in_errors_become_options(text, expected):
    options = (
        "--target",
        "--time",
        "--seed",
        "--data-seed",
        "--overwrite",
        "--no-check",
        "--folds",
        "--set",
        "--column",
    )
    assert with_option_names(text, options) == expected
    assert with_option_names(text, ()) == text


@pytest.mark.usefixtures("untraced", "undrawn")
def test_a_spreadsheet_gets_no_formula_and_a_terminal_no_escape(call, tmp_path, monkeypatch):
    """The class of faults: a name from the data that a program executes instead of showing it."""
    monkeypatch.chdir(tmp_path)
    red, formula = "-\x1b[31mred\x9b\u202e", '=HYPERLINK("http://example.org")'
    pd.DataFrame({"n": range(40), "@answer": [red, formula] * 20}).to_csv("a.csv", index=False)
    train = [
        "train",
        "tabular_fnn",
        "--data",
        "a.csv",
        "--target",
        "@answer",
        "--set",
        "epochs=1",
        "--out",
        "run",
    ]
    code, out, err = call(*train)
    assert code == 0
    shown = out + err
    for words in (
        ("predict", "run", "a.csv", "--out", "answers.csv", "--spreadsheet-safe"),
        ("predict", "run", "a.csv", "--out", "as_they_are.csv"),
        ("predict", "run", red),
        ("evaluate", f"r/{red}"),
    ):
        shown += "".join(map(str, call(*words)[1:]))
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown) and "\\x1b[31mred" in shown
    answers = pd.read_csv("answers.csv", encoding="utf-8-sig", dtype=str)
    assert set(answers["label"]) <= {f"'{formula}", f"'{red}"} and list(answers)[:2] == [
        "input",
        "label",
    ]
    as_they_are = pd.read_csv("as_they_are.csv", encoding="utf-8-sig", dtype=str)
    assert set(as_they_are["label"]) <= {formula, red}
    assert "--spreadsheet-safe" in shown  # the note on the file that is not
    assert call("report", "run")[0] == 0
    assert "\x1b" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
