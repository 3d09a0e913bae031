"""The registry through its public door."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kzoo
from kzoo import registry
from kzoo.registry import catalogue
from kzoo.registry.arguments import ARGUMENTS, CONFIG, SYNONYMS, TRAINING
from kzoo.registry.family import FAMILIES, builder_of


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
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        _ = kzoo.bild


def test_filters():
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
    assert kzoo.list_presets(dataset="iris") == [name for name in every if every[name].dataset == "iris"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kzoo.list_presets(family="cnnn"), "Unknown family 'cnnn'. Did you mean 'cnn'?"),
        (
            lambda: kzoo.list_presets(task="vision"),
            "Unknown task 'vision'. It is one of: image_classification",
        ),
        (lambda: kzoo.list_presets(dataset="mnits"), "Did you mean 'mnist'?"),
        (lambda: kzoo.list_presets("cifar_cn"), "Did you mean 'cifar_cnn'?"),
        (lambda: kzoo.list_presets(max_params="many"), "max_params='many' must be a number"),
        (lambda: kzoo.build("cifar_cn"), "Unknown preset 'cifar_cn'. Did you mean 'cifar_cnn'?"),
        (lambda: kzoo.build("cifar_cnn", classes=3), "Did you mean 'outputs'?"),
        (lambda: kzoo.build("cifar_cnn", lr=1), "Did you mean 'learning_rate'?"),
        (lambda: kzoo.build("cifar_cnn", num_heads=2), "cifar_cnn has no use for it"),
        (lambda: kzoo.build("cifar_cnn", dropout=1.0), "dropout=1.0 is out of range"),
        (lambda: kzoo.build("cifar_cnn", outputs=0), "outputs=0 is out of range"),
        (lambda: kzoo.build("cifar_cnn", outputs=2.5), "outputs=2.5 has the wrong type"),
        (lambda: kzoo.build("cifar_cnn", outputs=True), "outputs=True has the wrong type"),
        (lambda: kzoo.build("cifar_cnn", optimizer="adm"), "optimizer='adm' is not one of its values"),
        (lambda: kzoo.build("cifar_cnn", learning_rate=float("nan")), "learning_rate=nan is out of range"),
        (lambda: kzoo.build("cifar_cnn", dropout=(0.1, 0.2)), "dropout has 2 values for 3 layers"),
        (lambda: kzoo.build("cifar_cnn", label_smoothing=0.1), "need one-hot labels"),
        (lambda: kzoo.build("cifar_cnn", loss="mse"), "loss='mse' is for values"),
        (lambda: kzoo.build("diabetes_fnn", loss="hinge"), "loss='hinge' is for classes"),
        (lambda: kzoo.build("char_gru", loss="hinge", labels="onehot"), "language_modeling is scored by that."),
        (lambda: kzoo.build("cancer_fnn", labels="onehot"), "labels='onehot' has no effect on one sigmoid"),
        (lambda: kzoo.build("iris_fnn", loss="kl", labels="onehot", label_smoothing=0.1), "no effect with loss='kl'"),
        (
            lambda: kzoo.build("cancer_fnn", loss="hinge", output_activation="tanh", label_smoothing=0.1),
            "label_smoothing=0.1 has no effect with loss='hinge'",
        ),
        (lambda: kzoo.build("cifar_cnn", schedule="linear"), "warmup=0.05 goes with schedule"),
        (lambda: kzoo.build("text_transformer", num_heads=5), "num_heads"),
        (lambda: kzoo.build("cifar_cnn", steps=0), "steps=0 must be a whole number of at least 1"),
        (lambda: kzoo.build("iris_fnn", linear_probe=True), "linear_probe=True is for kzoo.train(NAME, weights=...)"),
        (lambda: kzoo.callbacks.quick(histograms=True), "histograms=True is for callbacks.standard"),
        (lambda: kzoo.callbacks.standard(histograms=True, tensorboard=False), "leave one out"),
    ],
)
def test_bad_input_is_one_line_with_the_fix(call, words):
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in kzoo.list_presets()
                                  if kzoo.get_preset(name).training.get("labels") == "onehot"])  # fmt: skip
def test_one_hot_labels_of_a_preset_are_for_its_several_outputs(name):
    """One output takes 0 and 1, and nobody asked for anything else."""
    sizes = (
        dict(filters=(2, 2), input_shape=(32, 32, 3)) if "filters" in kzoo.get_preset(name).config else dict(depth=1)
    )
    model = kzoo.build(name, outputs=1, steps=10, **sizes)
    assert type(model.loss).__name__ == "BinaryCrossentropy"
    assert kzoo.spec_of(model)["training"]["labels"] == "integer"
    with pytest.raises(kzoo.KzooError, match="no effect on one sigmoid"):
        kzoo.build(name, outputs=1, labels="onehot", steps=10, **sizes)


@pytest.fixture
def preset():
    """A preset of a user's own, taken out of the zoo again afterwards."""
    made = kzoo.Preset(
        name="mine_fnn", family="fnn", task="tabular_classification", summary="Mine.",
        config=dict(inputs="rows", input_shape=(3,), outputs=2, units=(5,)),
        training=dict(kzoo.get_preset("iris_fnn").training),
    )  # fmt: skip
    kzoo.register(made)
    yield made
    catalogue._presets.pop("mine_fnn", None)
    catalogue._owners.pop("mine_fnn", None)


def test_a_preset_of_your_own_builds_and_its_name_is_taken(preset):
    model = kzoo.build("mine_fnn", units=(7, 3))
    assert model.name == "mine_fnn"
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [7, 3, 2]
    with pytest.raises(kzoo.KzooError, match=r"'mine_fnn' of .*test_registry is already registered by .*test_registry"):
        kzoo.register(preset)


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
    assert all((a == b).all() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_models_that_kzoo_did_not_build_have_no_spec():
    import keras

    with pytest.raises(kzoo.KzooError, match="has no specification"):
        kzoo.spec_of(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))


def test_seed_fixes_the_weights():
    one, same, other = (kzoo.build("iris_fnn", seed=s).get_weights()[0] for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_steps_turn_the_schedule_on():
    import keras

    constant, scheduled = kzoo.build("digits_cnn"), kzoo.build("digits_cnn", steps=100)
    peak = kzoo.get_preset("digits_cnn").training["learning_rate"]
    assert float(keras.ops.convert_to_numpy(constant.optimizer.learning_rate)) == pytest.approx(peak)
    assert float(keras.ops.convert_to_numpy(scheduled.optimizer.learning_rate)) == 0.0  # warm-up starts there
    schedule = scheduled.optimizer._learning_rate
    assert float(schedule(5)) == pytest.approx(peak)
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-9)


def test_every_preset_takes_the_whole_contract():
    averaged = {"series_linear", "tabular_tabm", "text_gru", "text_lstm"}
    for name in kzoo.list_presets():
        _, training = registry.resolve(kzoo.get_preset(name), {})
        assert {name for name in TRAINING if not TRAINING[name].needs} <= set(training)
        assert (training["ema"] > 0, training["on_nan"], training["mode"]) == (name in averaged, "stop", None)
    own = kzoo.Preset(name="a", family="fnn", task="tabular_regression", summary="", config={}, training={"epochs": 1})
    defaults = {name: argument.default for name, argument in TRAINING.items() if not argument.needs}
    assert registry.resolve(own, {"ema": 0.5})[1] == defaults | {"epochs": 1, "ema": 0.5}


def test_every_preset_takes_what_its_builder_takes_where_it_has_a_use():
    assert kzoo.spec_of(kzoo.build("image_cnn", compile=False, block="plain", pool_size=3))["config"]["pool_size"] == 3
    assert kzoo.build("image_cnn", compile=False, units=(8,), units_norm="batch").get_layer("hidden1_norm")
    mine = kzoo.Preset(
        name="a", family="cnn", task="image_classification", summary="", config=dict(input_shape=(8, 8, 1), outputs=2),
        training={},
    )  # fmt: skip
    assert (mine.config["pool_size"], mine.training["augment"]) == (2, ())  # the builder's and the contract's defaults
    assert set(mine.config) == set(builder_of("cnn").takes) - {
        "horizon", "vocabulary_size", "embedding_dim", "embedding_dropout", "reversible_norm", "scale", "offset",
        "target_scale", "target_offset", "units_norm", "norm_momentum",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("image_cnn", dict(pool_size=3), "image_cnn has no use for pool_size: it needs block='plain', not 'residual'."),
        ("cifar_cnn", dict(horizon=3), "has no use for horizon: it needs inputs='series', not 'image'."),
        ("image_cnn", dict(units_norm="batch"), "has no use for units_norm: it needs units, and there are none."),
        ("line_fnn", dict(labels="onehot"), "no use for labels: it is for classes, and this task has values."),
        ("text_gru", dict(augment=("flip",)), "has no use for augment: it needs inputs='image', not 'tokens'."),
        ("text_gru", dict(dense_dropout=0.5), "no use for dense_dropout: it needs dense_units, and there are none."),
        ("text_gru", dict(stateful_batch=4), "has no use for stateful_batch: it needs stateful=True, not False."),
        ("tabular_fnn", dict(units=(), l2=0.01), "has no use for l2: it needs units, and there are none."),
        ("text_ngrams", dict(dropout=0.5), "has no use for dropout: it needs units, and there are none."),
        ("mnist_cnn", dict(block="residual", pool_size=3), "no use for pool_size: it needs block='plain', not 'resid"),
        ("tabular_tabm", dict(bins=0, bins_dim=4), "has no use for bins_dim: it needs bins, and there are none."),
        ("tabular_fnn", dict(rescale=False, input_clip=2), "no use for input_clip: it needs rescale=True, not False."),
    ],
)
def test_what_would_change_nothing_is_refused(name, overrides, words):
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.build(name, **overrides)
    assert words in str(caught.value)


def test_gradients_are_clipped_in_one_way():
    clipped = kzoo.get_preset("series_gru")
    assert clipped.training["global_clipnorm"] == 1.0
    for asked in ({}, {"clipnorm": 0.5}, {"clipvalue": 0.1}, {"global_clipnorm": None}, {"clipnorm": None}):
        optimizer = kzoo.build(clipped, **asked).optimizer
        expected = dict(global_clipnorm=1.0, clipnorm=None, clipvalue=None) | asked
        if any(asked.values()):
            expected["global_clipnorm"] = None
        assert {name: getattr(optimizer, name) for name in expected} == expected
    for asked in ({"clipnorm": 0.5, "clipvalue": 0.1}, {"clipnorm": 0.5, "global_clipnorm": 2.0}):
        with pytest.raises(kzoo.KzooError, match=r"exclude one another.*Keep one"):
            registry.resolve(clipped, asked)


def test_an_average_is_the_optimizers():
    plain, averaged = kzoo.build("iris_fnn").optimizer, kzoo.build("iris_fnn", ema=0.9).optimizer
    assert (plain.use_ema, averaged.use_ema, averaged.ema_momentum) == (False, True, 0.9)


def test_one_cycle_rises_for_30_percent_and_falls_to_nearly_nothing():
    optimizer = kzoo.build("digits_cnn", schedule="onecycle", learning_rate=0.5, steps=100).optimizer
    rate = [float(optimizer._learning_rate(step)) for step in range(101)]
    assert rate[0] == pytest.approx(0.5 / 25) and rate[30] == pytest.approx(0.5) and max(rate) == rate[30]
    assert rate[15] == pytest.approx((rate[0] + 0.5) / 2) and rate[65] == pytest.approx(0.25, rel=1e-3)
    assert 0 < rate[100] < 0.5 * 1e-3 and sorted(rate[30:], reverse=True) == rate[30:]
    short = kzoo.build("digits_cnn", schedule="onecycle", warmup=0.1, learning_rate=0.5, steps=100).optimizer
    assert float(short._learning_rate(10)) == pytest.approx(0.5)


def test_one_namespace_and_every_name_is_known():
    assert not set(CONFIG) & set(TRAINING)
    assert set(SYNONYMS.values()) <= set(ARGUMENTS)
    assert not set(SYNONYMS) & set(ARGUMENTS)
    for name in kzoo.list_presets():
        preset = kzoo.get_preset(name)
        assert set(preset.training) <= set(TRAINING), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_name_that_a_builder_takes_has_its_range_and_its_meaning(family):
    builder = builder_of(family)
    assert [name for name in builder.takes if name not in CONFIG] == []
    assert [name for name in builder.takes if len(builder.meanings.get(name, "")) <= 5] == []
    for name, default in builder.defaults.items():
        assert CONFIG[name].check(name, default) == default


def test_what_is_read_of_a_builder_is_what_it_is():
    for family in FAMILIES:
        function, fixed = registry.family_builder(family)
        parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n not in ("name", *fixed)}
        assert builder_of(family).takes == tuple(parameters)
        assert builder_of(family).defaults == {n: p.default for n, p in parameters.items() if p.default is not p.empty}


BROKEN_FAMILIES = [
    (None, "A family's builder is looked for in 'broken_family', and there is no such Python file."),
    ("x = 3", "A family's builder is looked for in 'broken_family', which has no function 'build'."),
    (
        "UNITS = (3,)\ndef build(*, name, units=UNITS):\n    pass",
        "broken_family: the default of build's 'units' must be written as a plain value, such as (64, 32), not UNITS.",
    ),
]


@pytest.mark.parametrize(("text", "words"), BROKEN_FAMILIES)
def test_a_family_of_your_own_that_cannot_be_read(text, words, monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("broken_family", {}))
    monkeypatch.syspath_prepend(".")
    if text is not None:
        Path("broken_family.py").write_text(text)
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.Preset(name="a", family="mine", task="forecasting", summary="", config={}, training={})
    assert str(caught.value) == words


OUTSIDE = """
import keras

def build(*, name, input_shape, outputs=2, wings=3):
    \"\"\"Build.

    Args:
        wings: how many wings it has.
            Two are usual.
    \"\"\"
    given = keras.Input(input_shape)
    return keras.Model(given, keras.layers.Dense(outputs, name=f"wings{wings}")(given), name=name)
"""


def test_a_family_outside_kzoo_has_its_defaults_and_meanings(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("outside_family", {}))
    monkeypatch.syspath_prepend(".")
    Path("outside_family.py").write_text(OUTSIDE)
    made = kzoo.Preset(
        name="a", family="mine", task="tabular_classification", summary="", config=dict(input_shape=(4,)), training={}
    )
    assert made.config == dict(input_shape=(4,), outputs=2, wings=3)
    assert "outside_family" not in sys.modules  # read, not imported
    assert registry.meaning_of("wings", "mine") == "how many wings it has"
    assert kzoo.build(made, compile=False, wings=2).layers[-1].name == "wings2"
    with pytest.raises(kzoo.KzooError, match="Did you mean 'wings'"):
        kzoo.build(made, wing=2)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b.c", ".a", "a.", "ä", "a-b", "a\n", 3])
def test_a_name_is_letters_digits_and_underscores_after_one_package_at_most(name):
    kept = dict(family="fnn", task="forecasting", summary="", config={}, training={})
    with pytest.raises(kzoo.KzooError, match="must consist of letters, digits and underscores"):
        kzoo.Preset(name=name, **kept)
    assert kzoo.Preset(name="acme.tiny_2", **kept).name == "acme.tiny_2"


def test_a_preset_must_be_plain_data():
    with pytest.raises(kzoo.KzooError, match="must be plain data"):
        kzoo.Preset(
            name="x",
            family="fnn",
            task="forecasting",
            summary="",
            config={"units_of_mine": object()},
            training={},
        )
    with pytest.raises(kzoo.KzooError, match="in both config and training"):
        kzoo.Preset(name="x", family="fnn", task="forecasting", summary="", config={"a": 1}, training={"a": 1})


def test_the_specification_of_a_built_model_makes_a_preset_again():
    """Evaluating a run needs it; the builder's defaults are in there, and None is one of them."""
    for name in ("tabular_transformer", "iris_fnn", "digits_cnn", "series_gru"):
        spec = kzoo.spec_of(kzoo.build(name, compile=False))
        assert registry.preset_of(spec).config == spec["config"]


def test_numbers_of_numpy_are_numbers():
    """Such as `labels.max() + 1` is: whoever counts with NumPy has these."""
    preset = kzoo.get_preset("iris_fnn")
    of_numpy = dict(outputs=np.int64(7), units=np.array([6, 5]), dropout=np.float32(0.25), rescale=np.bool_(False))
    of_numpy |= dict(input_shape=[np.int32(9)], activation=np.str_("gelu"), learning_rate=np.float32(0.5))
    of_python = dict(outputs=7, units=(6, 5), dropout=0.25, rescale=False)
    of_python |= dict(input_shape=(9,), activation="gelu", learning_rate=0.5)
    found, expected = registry.resolve(preset, of_numpy), registry.resolve(preset, of_python)
    assert repr(found) == repr(expected) and "np." not in repr(found)
    with pytest.raises(kzoo.KzooError, match=r"^outputs=0 is out of range: it must be a whole number at least 1"):
        registry.resolve(preset, dict(outputs=np.int64(0)))
    few = kzoo.list_presets(max_params=np.int64(1_000))
    assert few == kzoo.list_presets(max_params=1_000) != kzoo.list_presets()
    for wrong in (np.nan, np.float64(2.5), np.array([1, 2])):
        with pytest.raises(kzoo.KzooError, match=r"^outputs=(nan|2.5|array\(\[1, 2\]\)) "):
            registry.resolve(preset, dict(outputs=wrong))
