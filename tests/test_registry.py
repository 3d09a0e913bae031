"""The registry, through the public functions of kzoo."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from messages import refuses

import kzoo
from kzoo.zoo import registry
from kzoo.zoo.registry import catalogue
from kzoo.zoo.registry.arguments import ARGUMENTS, CONFIG, SYNONYMS, TRAINING
from kzoo.zoo.registry.family import FAMILIES, builder_of


def child(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_listing_and_describing_load_nothing_heavy():
    heavy = child(
        "import sys, kzoo; kzoo.list_presets(); kzoo.get_preset('cifar_cnn'); dir(kzoo)\n"
        "heavy = ('keras', 'tensorflow', 'numpy', 'pandas', 'matplotlib', 'rich', 'sklearn')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert heavy == "[]"


def test_dir_shows_the_lazy_names():
    assert {"build", "train", "list_presets", "Run", "callbacks"} <= set(dir(kzoo))
    with refuses("'kzoo'", "'bild'", error=AttributeError):
        _ = kzoo.bild


def test_filters_of_list_presets():
    every = {name: kzoo.get_preset(name) for name in kzoo.list_presets()}
    cifar = [name for name in every if name.startswith("cifar_")]
    assert {"cifar_cnn", "cifar_mobile", "cifar_resnet", "cifar_vit"} <= set(cifar)
    assert kzoo.list_presets("cifar_*") == cifar
    assert kzoo.list_presets("cifar_*", exclude="*_vit", family="cnn") == [
        name for name in cifar if not name.endswith("_vit") and every[name].family == "cnn"
    ]
    assert "line_fnn" in kzoo.list_presets(max_params=100)
    assert all(kzoo.get_preset(n).params <= 100 for n in kzoo.list_presets(max_params=100))
    assert kzoo.list_presets(["iris_fnn*", "wine_fnn"]) == [
        name for name in every if name.startswith("iris_fnn") or name == "wine_fnn"
    ]
    assert kzoo.list_presets(dataset="iris") == [
        name for name in every if every[name].dataset == "iris"
    ]


ONE_SIGMOID = ("labels='onehot'", "sigmoid", "labels='integer'", "outputs=2")


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: kzoo.list_presets(family="cnnn"), ("family", "'cnnn'", "'cnn'")),
        (
            lambda: kzoo.list_presets(task="vision"),
            ("task", "'vision'", "image_classification, text_classification"),
        ),
        (lambda: kzoo.list_presets(dataset="mnits"), ("'mnits'", "'mnist'")),
        (lambda: kzoo.list_presets("cifar_cn"), ("'cifar_cn'", "'cifar_cnn'")),
        (lambda: kzoo.list_presets(max_params="many"), ("max_params='many'", "number")),
        (lambda: kzoo.build("cifar_cn"), ("preset", "'cifar_cn'", "'cifar_cnn'")),
        (lambda: kzoo.build("cifar_cnn", classes=3), ("'classes'", "cifar_cnn", "'outputs'")),
        (lambda: kzoo.build("cifar_cnn", lr=1), ("'lr'", "cifar_cnn", "'learning_rate'")),
        (lambda: kzoo.build("cifar_cnn", num_heads=2), ("'num_heads'", "cifar_cnn", "transformer")),
        (lambda: kzoo.build("cifar_cnn", dropout=1.0), ("dropout=1.0", "below 1")),
        (lambda: kzoo.build("cifar_cnn", outputs=0), ("outputs=0", "1")),
        (lambda: kzoo.build("cifar_cnn", outputs=2.5), ("outputs=2.5", "1")),
        (lambda: kzoo.build("cifar_cnn", outputs=True), ("outputs=True", "1")),
        (lambda: kzoo.build("cifar_cnn", optimizer="adm"), ("optimizer='adm'", "adam, adamw, sgd")),
        (lambda: kzoo.build("cifar_cnn", learning_rate=float("nan")), ("learning_rate=nan", "0")),
        (lambda: kzoo.build("cifar_cnn", dropout=(0.1, 0.2)), ("'cifar_cnn'", "dropout", "2", "3")),
        (
            lambda: kzoo.build("cifar_cnn", label_smoothing=0.1),
            ("label_smoothing", "labels='onehot'"),
        ),
        (
            lambda: kzoo.build("cifar_cnn", loss="mse"),
            ("loss='mse'", "image_classification", "auto, focal, hinge"),
        ),
        (
            lambda: kzoo.build("diabetes_fnn", loss="hinge"),
            ("loss='hinge'", "tabular_regression", "mse, mae"),
        ),
        (
            lambda: kzoo.build("char_gru", loss="hinge", labels="onehot"),
            ("loss='hinge'", "language_modeling", "auto, focal"),
        ),
        (lambda: kzoo.build("cancer_fnn", labels="onehot"), ONE_SIGMOID),
        (
            lambda: kzoo.build("iris_fnn", loss="kl", labels="onehot", label_smoothing=0.1),
            ("label_smoothing=0.1", "loss='kl'"),
        ),
        (
            lambda: kzoo.build(
                "cancer_fnn", loss="hinge", output_activation="tanh", label_smoothing=0.1
            ),
            ("label_smoothing=0.1", "loss='hinge'"),
        ),
        (
            lambda: kzoo.build("cifar_cnn", schedule="linear"),
            ("warmup=0.05", "schedule='constant'", "'cosine'", "'onecycle'", "'linear'"),
        ),
        (
            lambda: kzoo.build("text_transformer", num_heads=5),
            ("'text_transformer'", "num_heads=5", "width=64"),
        ),
        (lambda: kzoo.build("cifar_cnn", steps=0), ("steps=0", "1")),
        (
            lambda: kzoo.build("iris_fnn", linear_probe=True),
            ("linear_probe=True", "kzoo.train(NAME, weights=...)"),
        ),
        (
            lambda: kzoo.callbacks.quick(histograms=True),
            ("histograms=True", "callbacks.standard", "TensorBoard"),
        ),
        (
            lambda: kzoo.callbacks.standard(histograms=True, tensorboard=False),
            ("histograms=True", "tensorboard=False"),
        ),
    ],
)
def test_bad_input_is_refused_in_a_line_with_the_fix(call, parts):
    with refuses(*parts) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in kzoo.list_presets()
        if kzoo.get_preset(name).training.get("labels") == "onehot"
    ],
)
def test_one_hot_labels_of_a_preset_are_for_its_several_outputs(name):
    """A single output takes labels of 0 and 1: then the labels are integers, unless the user chose one-hot labels."""
    sizes = (
        dict(filters=(2, 2), input_shape=(32, 32, 3))
        if "filters" in kzoo.get_preset(name).config
        else dict(depth=1)
    )
    model = kzoo.build(name, outputs=1, steps=10, **sizes)
    assert type(model.loss).__name__ == "BinaryCrossentropy"
    assert kzoo.spec_of(model)["training"]["labels"] == "integer"
    with refuses(*ONE_SIGMOID):
        kzoo.build(name, outputs=1, labels="onehot", steps=10, **sizes)


@pytest.fixture
def preset():
    """A preset of a user, removed from the zoo afterwards."""
    made = kzoo.Preset(
        name="mine_fnn",
        family="fnn",
        task="tabular_classification",
        summary="Mine.",
        config=dict(inputs="rows", input_shape=(3,), outputs=2, units=(5,)),
        training=dict(kzoo.get_preset("iris_fnn").training),
    )
    kzoo.register(made)
    yield made
    catalogue._presets.pop("mine_fnn", None)
    catalogue._owners.pop("mine_fnn", None)


def test_a_users_preset_builds_and_its_name_cannot_be_registered_again(preset):
    model = kzoo.build("mine_fnn", units=(7, 3))
    assert model.name == "mine_fnn"
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [7, 3, 2]
    with refuses("'mine_fnn'", "test_registry") as caught:
        kzoo.register(preset)
    assert str(caught.value).count("test_registry") == 2  # both owners


def test_spec_rebuilds_after_the_preset_is_gone(preset):
    model = kzoo.build("mine_fnn", units=(7,), seed=3)
    spec = json.loads(json.dumps(kzoo.spec_of(model)))
    assert (spec["preset"], spec["family"], spec["seed"], spec["kzoo"]) == (
        "mine_fnn",
        "fnn",
        3,
        kzoo.__version__,
    )
    assert spec["config"]["units"] == [7]
    assert spec["config"]["dropout"] == 0.0  # the builder's default is part of the resolved config
    del catalogue._presets["mine_fnn"]
    again = registry.rebuild(spec)
    assert all(
        (a == b).all() for a, b in zip(model.get_weights(), again.get_weights(), strict=True)
    )


def test_models_that_kzoo_did_not_build_have_no_spec():
    import keras

    with refuses("specification", "kzoo.build"):
        kzoo.spec_of(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))


def test_seed_fixes_the_weights():
    weights, same, other = (kzoo.build("iris_fnn", seed=s).get_weights()[0] for s in (1, 1, 2))
    assert (weights == same).all()
    assert (weights != other).any()


def test_steps_turn_the_schedule_on():
    import keras

    constant = kzoo.build("digits_cnn")
    scheduled = kzoo.build("digits_cnn", steps=100)
    peak = kzoo.get_preset("digits_cnn").training["learning_rate"]
    assert float(keras.ops.convert_to_numpy(constant.optimizer.learning_rate)) == pytest.approx(
        peak
    )
    # warm-up starts there
    assert float(keras.ops.convert_to_numpy(scheduled.optimizer.learning_rate)) == 0.0
    schedule = scheduled.optimizer._learning_rate
    assert float(schedule(5)) == pytest.approx(peak)
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-9)


def test_every_preset_takes_all_settings_of_training():
    averaged = {"series_fnn", "series_linear", "tabular_tabm", "text_gru", "text_lstm"}
    for name in kzoo.list_presets():
        _, training = registry.resolve(kzoo.get_preset(name), {})
        assert {
            name for name, setting in TRAINING.items() if not (setting.needs or setting.optional)
        } <= set(training)
        assert (training["ema"] > 0, training["on_nan"], training["mode"]) == (
            name in averaged,
            "stop",
            None,
        )
    mine = kzoo.Preset(
        name="a",
        family="fnn",
        task="tabular_regression",
        summary="",
        config={},
        training={"epochs": 1},
    )
    defaults = {
        n: setting.default
        for n, setting in TRAINING.items()
        if not (setting.needs or setting.optional)
    }
    assert registry.resolve(mine, {"ema": 0.5})[1] == defaults | {"epochs": 1, "ema": 0.5}


def test_a_preset_takes_every_argument_of_its_builder_that_has_an_effect():
    assert (
        kzoo.spec_of(kzoo.build("image_cnn", compile=False, block="plain", pool_size=3))["config"][
            "pool_size"
        ]
        == 3
    )
    assert kzoo.build("image_cnn", compile=False, units=(8,), units_norm="batch").get_layer(
        "hidden1_norm"
    )
    mine = kzoo.Preset(
        name="a",
        family="cnn",
        task="image_classification",
        summary="",
        config=dict(input_shape=(8, 8, 1), outputs=2),
        training={},
    )
    # the builder's and the contract's defaults
    assert (mine.config["pool_size"], mine.training["augment"]) == (2, ())
    assert set(mine.config) == set(builder_of("cnn").takes) - {
        "horizon",
        "vocabulary_size",
        "embedding_dim",
        "embedding_dropout",
        "reversible_norm",
        "scale_free",
        "scale",
        "offset",
        "target_scale",
        "target_offset",
        "quantiles",
        "padded",
        "units_norm",
        "norm_momentum",
        "covariates",
    }


@pytest.mark.parametrize(
    ("name", "overrides", "parts"),
    [
        ("image_cnn", dict(pool_size=3), ("pool_size", "block='plain'", "'residual'")),
        ("cifar_cnn", dict(horizon=3), ("horizon", "inputs='series'", "'image'")),
        ("image_cnn", dict(units_norm="batch"), ("units_norm", "units")),
        ("line_fnn", dict(labels="onehot"), ("labels", "classes", "values")),
        ("text_gru", dict(augment=("flip",)), ("augment", "inputs='image'", "'tokens'")),
        ("text_gru", dict(dense_dropout=0.5), ("dense_dropout", "dense_units")),
        ("text_gru", dict(stateful_batch=4), ("stateful_batch", "stateful=True", "False")),
        ("tabular_fnn", dict(units=(), l2=0.01), ("l2", "units")),
        ("text_ngrams", dict(dropout=0.5), ("dropout", "units")),
        (
            "mnist_cnn",
            dict(block="residual", pool_size=3),
            ("pool_size", "block='plain'", "'residual'"),
        ),
        ("tabular_tabm", dict(bins=0, bins_dim=4), ("bins_dim", "bins")),
        ("tabular_fnn", dict(rescale=False, input_clip=2), ("input_clip", "rescale=True", "False")),
    ],
)
def test_a_setting_without_effect_is_refused(name, overrides, parts):
    with refuses(name, *parts) as caught:
        kzoo.build(name, **overrides)
    # an unknown argument has a longer message, which lists all settings
    assert len(str(caught.value)) < 200


def test_gradients_are_clipped_in_a_single_way():
    clipped = kzoo.get_preset("series_gru")
    assert clipped.training["global_clipnorm"] == 1.0
    for settings in (
        {},
        {"clipnorm": 0.5},
        {"clipvalue": 0.1},
        {"global_clipnorm": None},
        {"clipnorm": None},
    ):
        optimizer = kzoo.build(clipped, **settings).optimizer
        expected = dict(global_clipnorm=1.0, clipnorm=None, clipvalue=None) | settings
        if any(settings.values()):
            expected["global_clipnorm"] = None
        assert {name: getattr(optimizer, name) for name in expected} == expected
    for settings in ({"clipnorm": 0.5, "clipvalue": 0.1}, {"clipnorm": 0.5, "global_clipnorm": 2}):
        with refuses(*(f"{name}={value}" for name, value in settings.items())):
            registry.resolve(clipped, settings)


def test_weights_are_averaged_by_the_optimizer():
    plain = kzoo.build("iris_fnn").optimizer
    averaged = kzoo.build("iris_fnn", ema=0.9).optimizer
    assert (plain.use_ema, averaged.use_ema, averaged.ema_momentum) == (False, True, 0.9)


def test_one_cycle_rises_for_30_percent_and_falls_to_nearly_nothing():
    optimizer = kzoo.build(
        "digits_cnn", schedule="onecycle", learning_rate=0.5, steps=100
    ).optimizer
    rate = [float(optimizer._learning_rate(step)) for step in range(101)]
    assert (
        rate[0] == pytest.approx(0.5 / 25)
        and rate[30] == pytest.approx(0.5)
        and max(rate) == rate[30]
    )
    assert rate[15] == pytest.approx((rate[0] + 0.5) / 2) and rate[65] == pytest.approx(
        0.25, rel=1e-3
    )
    assert 0 < rate[100] < 0.5 * 1e-3 and sorted(rate[30:], reverse=True) == rate[30:]
    short = kzoo.build(
        "digits_cnn", schedule="onecycle", warmup=0.1, learning_rate=0.5, steps=100
    ).optimizer
    assert float(short._learning_rate(10)) == pytest.approx(0.5)


def test_settings_of_networks_and_of_training_have_different_names():
    assert not set(CONFIG) & set(TRAINING)
    assert set(SYNONYMS.values()) <= set(ARGUMENTS)
    assert not set(SYNONYMS) & set(ARGUMENTS)
    for name in kzoo.list_presets():
        preset = kzoo.get_preset(name)
        assert set(preset.training) <= set(TRAINING), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_argument_of_a_builder_has_a_range_and_a_meaning(family):
    builder = builder_of(family)
    assert [name for name in builder.takes if name not in CONFIG] == []
    assert [name for name in builder.takes if len(builder.meanings.get(name, "")) <= 5] == []
    for name, default in builder.defaults.items():
        assert CONFIG[name].check(name, default) == default


def test_arguments_and_defaults_that_are_read_from_a_builders_file_are_right():
    for family in FAMILIES:
        function, fixed = registry.family_builder(family)
        parameters = {
            n: p
            for n, p in inspect.signature(function).parameters.items()
            if n not in ("name", *fixed)
        }
        assert builder_of(family).takes == tuple(parameters)
        assert builder_of(family).defaults == {
            n: p.default for n, p in parameters.items() if p.default is not p.empty
        }


BROKEN_FAMILIES = [
    (None, ("'broken_family'", "file")),
    ("x = 3", ("broken_family", "function", "'build'")),
    (
        "UNITS = (3,)\ndef build(*, name, units=UNITS):\n    pass",
        ("broken_family", "'units'", "(64, 32)", "UNITS"),
    ),
]


@pytest.mark.parametrize(("text", "parts"), BROKEN_FAMILIES)
def test_a_users_family_that_cannot_be_read_is_refused(text, parts, monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("broken_family", {}))
    monkeypatch.syspath_prepend(".")
    if text is not None:
        Path("broken_family.py").write_text(text)
    with refuses(*parts):
        kzoo.Preset(name="a", family="mine", task="forecasting", summary="", config={}, training={})


OUTSIDE = """
import keras

def build(*, name, input_shape, outputs=2, wings=3):
    \"\"\"Build.

    Args:
        wings: how many wings it has.
            Most have two.
    \"\"\"
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(outputs, name=f"wings{wings}")(inputs), name=name)
"""


def test_a_family_outside_kzoo_has_its_defaults_and_meanings(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("outside_family", {}))
    monkeypatch.syspath_prepend(".")
    Path("outside_family.py").write_text(OUTSIDE)
    made = kzoo.Preset(
        name="a",
        family="mine",
        task="tabular_classification",
        summary="",
        config=dict(input_shape=(4,)),
        training={},
    )
    assert made.config == dict(input_shape=(4,), outputs=2, wings=3)
    assert "outside_family" not in sys.modules  # read, not imported
    assert registry.meaning_of("wings", "mine") == "how many wings it has"
    assert kzoo.build(made, compile=False, wings=2).layers[-1].name == "wings2"
    with refuses("'wing'", "'wings'"):
        kzoo.build(made, wing=2)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b.c", ".a", "a.", "ä", "a-b", "a\n", 3])
def test_a_name_is_letters_digits_and_underscores_after_at_most_a_single_package(name):
    fields = dict(family="fnn", task="forecasting", summary="", config={}, training={})
    with refuses(repr(name), "letters", "digits", "underscores"):
        kzoo.Preset(name=name, **fields)
    assert kzoo.Preset(name="acme.tiny_2", **fields).name == "acme.tiny_2"


def test_a_preset_must_be_plain_data():
    with refuses("'x'", "units_of_mine=", "object", "numbers, texts"):
        kzoo.Preset(
            name="x",
            family="fnn",
            task="forecasting",
            summary="",
            config={"units_of_mine": object()},
            training={},
        )
    with refuses("'x'", "'a'", "config", "training"):
        kzoo.Preset(
            name="x",
            family="fnn",
            task="forecasting",
            summary="",
            config={"a": 1},
            training={"a": 1},
        )


def test_the_specification_of_a_built_model_makes_a_preset_again():
    """Evaluating a run needs it. The specification has the builder's defaults too, also where they are None."""
    for name in ("tabular_transformer", "iris_fnn", "digits_cnn", "series_gru"):
        spec = kzoo.spec_of(kzoo.build(name, compile=False))
        assert registry.preset_of(spec).config == spec["config"]


def test_numbers_of_numpy_are_numbers():
    """For example `labels.max() + 1`."""
    preset = kzoo.get_preset("iris_fnn")
    of_numpy = dict(
        outputs=np.int64(7),
        units=np.array([6, 5]),
        dropout=np.float32(0.25),
        rescale=np.bool_(False),
    )
    of_numpy |= dict(
        input_shape=[np.int32(9)], activation=np.str_("gelu"), learning_rate=np.float32(0.5)
    )
    of_python = dict(outputs=7, units=(6, 5), dropout=0.25, rescale=False)
    of_python |= dict(input_shape=(9,), activation="gelu", learning_rate=0.5)
    resolved = registry.resolve(preset, of_numpy)
    expected = registry.resolve(preset, of_python)
    assert repr(resolved) == repr(expected) and "np." not in repr(resolved)
    with refuses("outputs=0", "1"):
        registry.resolve(preset, dict(outputs=np.int64(0)))
    few = kzoo.list_presets(max_params=np.int64(1_000))
    assert few == kzoo.list_presets(max_params=1_000) != kzoo.list_presets()
    for wrong, text in (
        (np.nan, "nan"),
        (np.float64(2.5), "2.5"),
        (np.array([1, 2]), "array([1, 2])"),
    ):
        with refuses(f"outputs={text}"):
            registry.resolve(preset, dict(outputs=wrong))
