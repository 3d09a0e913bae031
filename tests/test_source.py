"""`kzoo show PRESET --code`: the code builds the same model where kzoo is not installed."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses
from test_presets import batch, predict, small

import kzoo
from kzoo.cli import main
from kzoo.zoo.codegen.graph import Graph
from kzoo.zoo.codegen.values import value
from kzoo.zoo.registry.arguments import OF_FIT
from kzoo.zoo.registry.family import FAMILIES

NAMES = kzoo.list_presets()
# A preset of every family, and three transformers, with settings that no preset has.
SOME = {
    "iris_fnn": dict(
        norm="layer", l1=0.1, activation="gelu", optimizer="momentum", ema=0.9, categories=(3, 4)
    ),
    "tabular_tabm": dict(categories=(3,)),
    "cifar_mobile": dict(
        loss="focal", labels="onehot", metrics=("accuracy", "top5"), schedule="constant"
    ),
    "adding_rnn": dict(
        target_scale=(3.0,),
        target_offset=(0.5,),
        rescale=True,
        scale=(2.0, 1.5),
        offset=(1.0, 0.1),
        clipvalue=0.1,
    ),
    "text_bilstm": {},
    "series_gru": dict(optimizer="lion", bidirectional=True),
    "cifar_vit": {},
    "char_gpt": {},
    "imdb_transformer": {},
    "text_transformer": dict(
        pooling="cls", activation="leaky_relu", label_smoothing=0.1, labels="onehot"
    ),
}
covered = {kzoo.get_preset(name).family for name in SOME}
SOME |= {kzoo.list_presets(family=family)[0]: {} for family in FAMILIES if family not in covered}

CHILD = """
import gc, json, sys
gc.set_threshold(200_000, 20, 100)
sys.modules["kzoo"] = None  # as on a machine where it is not installed
import importlib, keras, numpy as np
sys.path.insert(0, ".")
for name in sys.argv[1:]:
    module = importlib.import_module(f"{name}_code")
    model = module.build_model()
    data = np.load(f"{name}.npz")
    model.set_weights([data[f"w{i}"] for i in range(len(model.weights))])
    difference = np.abs(np.asarray(model.predict_on_batch(data["x"])) - data["y"]).max()
    module.compile_model(*[model, 1000][: module.compile_model.__code__.co_argcount])
    decayed = [bool(model.optimizer.weight_decay and model.optimizer._use_weight_decay(v))
               for v in model.trainable_variables]
    facts = dict(params=model.count_params(), difference=float(difference), config=model.get_config(),
                 compiled=model.get_compile_config(), decayed=decayed)
    json.dump(facts, open(f"{name}.json", "w"), default=str)
"""


def canonical(config):
    """Return a model's configuration with a number for each name that Keras gave to an operation.

    An argument that is passed as its default, such as `use_causal_mask=False`, is as good as none.
    """
    config = json.loads(json.dumps(config, default=str))
    for node in (node for part in config["layers"] for node in part["inbound_nodes"]):
        node["kwargs"] = {
            name: value for name, value in node["kwargs"].items() if value not in (None, False)
        }
    names = {
        part["config"]["name"]: f"operation {i}"
        for i, part in enumerate(config["layers"])
        if not part["module"].startswith("keras.layers")
    }

    def renamed(value):
        if isinstance(value, dict):
            # An activation may be called as an operation is, "softmax".
            return {k: v if k == "activation" else renamed(v) for k, v in value.items()}
        if isinstance(value, list):
            return [renamed(v) for v in value]
        return names.get(value, value) if isinstance(value, str) else value

    return renamed(config)


def compiled(config):
    """Return how a model is compiled, without the number that Keras gives to an optimizer."""
    config = json.loads(json.dumps(config, default=str))
    del config["optimizer"]["config"]["name"]
    return config


def check(names, overrides, capsys):
    expected = {}
    for name in names:
        settings = overrides(name)
        model = kzoo.build(name, seed=0, steps=1000, **settings)
        rng = np.random.default_rng(0)
        weights = [
            w + rng.normal(scale=0.05, size=w.shape).astype(w.dtype) for w in model.get_weights()
        ]
        model.set_weights(
            [
                np.abs(w) if "variance" in v.path else w
                for w, v in zip(weights, model.weights, strict=True)
            ]
        )
        x, _ = batch(name, model, n=3)
        values = {f"w{i}": w for i, w in enumerate(model.get_weights())}
        np.savez(f"{name}.npz", x=x, y=predict(model, x), **values)
        words = [
            f"{k}={','.join(map(str, v)) + ',' if isinstance(v, tuple) else v}"
            for k, v in settings.items()
        ]
        assert main(["show", name, "--code", *(["--set", *words] if words else [])]) == 0
        code = capsys.readouterr().out
        assert "import kzoo" not in code and "from kzoo" not in code
        assert max(map(len, code.splitlines())) <= 120
        Path(f"{name}_code.py").write_text(code)
        optimizer, variables = model.optimizer, model.trainable_variables
        decayed = [
            bool(optimizer.weight_decay and optimizer._use_weight_decay(v)) for v in variables
        ]
        training = compiled(model.get_compile_config()), decayed
        expected[name] = model.count_params(), canonical(model.get_config()), *training
        keras.utils.clear_session(free_memory=False)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, (params, config, training, decayed) in expected.items():
        facts = json.loads(Path(f"{name}.json").read_text())
        assert facts["params"] == params
        assert canonical(facts["config"]) == config, name
        assert facts["difference"] < 1e-6, name
        assert compiled(facts["compiled"]) == training, name
        assert facts["decayed"] == decayed, name


@pytest.mark.usefixtures("warm_children")
def test_code_of_every_family_builds_the_same_model(capsys):
    check(list(SOME), lambda name: small(name) | SOME[name], capsys)


@pytest.mark.slow
def test_code_of_every_preset_builds_the_same_model(capsys):
    check(NAMES, lambda name: {}, capsys)


def test_a_users_layer_and_a_model_within_a_model_are_refused():
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((3,))
    with refuses("Mine", "code", "Keras"):
        Graph(keras.Model(inputs, Mine()(inputs)))
    within = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="inner")
    with refuses("'inner'", "code", "model"):
        Graph(keras.Model(inputs, within(inputs)))


def test_a_deep_network_and_long_lists_of_lists_are_written():
    inputs = x = keras.Input((4,))
    for _ in range(sys.getrecursionlimit() // 2):
        x = keras.layers.Activation("relu")(x)
    lines = Graph(keras.Model(inputs, x)).lines
    assert len(lines) == sys.getrecursionlimit() // 2 + 2 and lines[-1].startswith(
        "return keras.Model("
    )
    for numbers in ([[0.0, 1.5]] * 9, [[1.0]] * 5 + [[2.0]] * 4, [math.pi / 2] * 8 + [0.0]):
        assert eval(value(numbers), {"math": math}) == numbers


def test_a_layer_that_is_used_twice_is_made_once():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    shared = keras.layers.Dense(2, name="both")
    model = keras.Model([a, b], [shared(a), shared(b) * 2.0], name="twins")
    assert Graph(model).lines == [
        'a = keras.Input((3,), name="a")',
        'b = keras.Input((3,), name="b")',
        'both_layer = layers.Dense(2, name="both")',
        "both = both_layer(a)",
        "both_2 = both_layer(b)",
        "multiply_1 = both_2 * 2.0",
        'return keras.Model([a, b], [both, multiply_1], name="twins")',
    ]


def comment_of(code):
    """Return the comment at the top of the code, without the command that wrote it."""
    comment = " ".join(line.strip("# ") for line in code.splitlines() if line.startswith("#"))
    return re.sub(r"kzoo show .*?--code", "", comment)


def test_code_has_every_setting_that_compile_does_not_take_in_its_comment(capsys):
    settings_of = {
        "iris_fnn": dict(
            batch_size=7,
            min_steps=40,
            max_steps=50,
            class_weight="balanced",
            monitor="val_accuracy",
            mode="max",
            patience=4,
            callbacks="quick",
            on_nan="rollback",
            precision="float32",
            linear_probe=True,
            postprocess=("threshold",),
            objective="f1",
            decision="f1",
            positive="setosa",
            calibrate="off",
        ),
        "digits_cnn": dict(epochs=3, augment=("shift",)),
        "text_ngrams": dict(tokenizer="characters", ngrams=3),
    }
    assert {name for settings in settings_of.values() for name in settings} | {"cost"} == set(
        OF_FIT
    )
    for preset, settings in settings_of.items():
        words = [
            f"{name}={','.join(v) + ',' if isinstance(v, tuple) else v}"
            for name, v in settings.items()
        ]
        assert main(["show", preset, "--code", "--set", *words]) == 0
        assert_mentions(
            comment_of(capsys.readouterr().out), *(f"{name}={v!r}" for name, v in settings.items())
        )


def test_code_has_the_costs_of_mistakes_in_its_comment(capsys):
    assert main(["show", "iris_fnn", "--code", "--set", "cost={setosa:virginica:5}"]) == 0
    assert_mentions(comment_of(capsys.readouterr().out), "cost={'setosa:virginica': 5.0}")


def test_code_of_members_has_a_comment_on_the_fit_of_each_member(capsys):
    assert main(["show", "tabular_tabm", "--code"]) == 0
    code = capsys.readouterr().out
    assert_mentions(comment_of(code), "member", '"members"', "min_steps=2000")
    assert "on_nan" not in code  # settings with their default are left out
    assert main(["show", "iris_fnn", "--code"]) == 0
    code = capsys.readouterr().out
    assert_mentions(comment_of(code), "integer labels", "0..2")
    assert "member" not in code


def test_the_comment_of_code_names_the_labels_that_its_loss_takes(capsys):
    assert (
        main(["show", "iris_fnn", "--code", "--set", "label_smoothing=0.1", "labels=onehot"]) == 0
    )
    code = capsys.readouterr().out
    assert "CategoricalCrossentropy(label_smoothing=0.1)" in code
    assert_mentions(comment_of(code), "one-hot labels")


def test_a_summary_cannot_smuggle_code_in(capsys, registry_as_it_was):
    Path("evil.toml").write_text(
        '[evil]\nbase = "iris_fnn"\nsummary = "x\\nimport os\\n\\"\\"\\""\n'
    )
    assert main(["show", "evil.toml", "--code"]) == 0
    code = capsys.readouterr().out
    assert code.splitlines()[0] == '# evil: x import os """' and "\nimport os" not in code
