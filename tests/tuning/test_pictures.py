"""`Search.plot` and `Search.save_preset`."""

import random
import tomllib
from dataclasses import replace

import matplotlib.figure
import numpy as np
import pytest
from made_search import ACCURACY, LOSS, make_search
from messages import assert_mentions, refuses

import kzoo
from kzoo.tuning import importance
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import Trial
from kzoo.tuning.spaces.entry import Parameter


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return make_search(tmp_path_factory.mktemp("made") / "search", 40)


@pytest.fixture(autouse=True, scope="module")
def _fewer_random_splits():
    """By default importance is measured with ten random splits, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "REPEATS", 2)
        yield


@pytest.mark.parametrize("kind", ["history", "curves", "importance"])
def test_every_kind_of_plot_is_a_figure(search, kind, tmp_path):
    figure = search.plot(kind)
    assert isinstance(figure, matplotlib.figure.Figure)
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_an_unknown_kind_of_plot_is_refused_with_the_nearest(search):
    with refuses("'importances'", "'importance'", "history, curves, importance"):
        search.plot("importances")


# ---------------------------------------------------------------- importance


def test_importance_ranks_decisive_settings_first_and_merges_learning_rates(search):
    importance = importance_of(search.trials, search.objective, search.parameters)
    scored = [t for t in search.trials if t["score"] is not None]
    assert importance.trials == len(scored) < 40 and importance.r2 > 0.2
    assert {row.name for row in importance.rows[:2]} == {"learning_rate", "units_scale"}
    names = {row.name for row in importance.rows} | {name for name, _ in importance.left_out}
    assert not any(name.startswith("learning_rate_") for name in names)
    warmup = next(row for row in importance.rows if row.name == "warmup")
    assert warmup.trials == sum("warmup" in t["hyperparameters"] for t in scored) < len(scored)
    assert importance_of(search.trials, search.objective, search.parameters) == importance


def test_importance_for_a_loss(tmp_path):
    search = make_search(tmp_path / "loss", 40, objective=LOSS)
    rows = importance_of(search.trials, LOSS, search.parameters).rows
    assert {row.name for row in rows[:2]} == {"learning_rate", "units_scale"}


def many(count, score, seed=0):
    """Trials in which `momentum` counts for only the second of two optimizers."""
    draw = random.Random(seed)
    trials = []
    for number in range(count):
        values = dict(optimizer=draw.choice(["adam", "sgd"]), size=draw.uniform(1, 9))
        if values["optimizer"] == "sgd":
            values["momentum"] = draw.uniform(0.5, 0.9)
        ended = dict(status="completed", score=score(values, draw), hyperparameters=values)
        trials.append(Trial(number=number, overrides={}, baseline=False, seed=0, **ended))
    return trials


SPACE = [
    Parameter(name="optimizer", meaning="", default="adam", values=("adam", "sgd")),
    Parameter(
        name="momentum", meaning="", default=0.7, low=0.5, high=0.9, when=("optimizer", ("sgd",))
    ),
    Parameter(name="size", meaning="", default=5, low=1, high=9),
]


def test_momentum_does_not_take_the_credit_of_the_optimizer():
    """With its default filled in where it does not count, momentum had 0.43 of the optimizer's importance."""
    trials = many(100, lambda v, draw: (v["optimizer"] == "adam") + draw.gauss(0, 0.05))
    rows = {row.name: row for row in importance_of(trials, ACCURACY, SPACE).rows}
    assert rows["optimizer"].mean > 0.8
    assert rows["momentum"].mean < 0.2 and rows["momentum"].trials < 100


def test_momentum_gets_credit_for_its_effect():
    trials = many(60, lambda v, draw: v.get("momentum", 0.7) + draw.gauss(0, 0.01))
    rows = {row.name: row for row in importance_of(trials, ACCURACY, SPACE).rows}
    assert rows["momentum"].mean > 0.5 and rows["momentum"].r2 > 0.5 and rows["size"].mean < 0.2


def test_noise_has_no_importance():
    importance = importance_of(many(40, lambda v, draw: draw.random()), ACCURACY, SPACE)
    assert importance.r2 < 0 and all(row.mean < 0.3 for row in importance.rows)


def test_importance_needs_fifteen_scored_trials(tmp_path):
    search = make_search(tmp_path / "few", 16)  # some have no score
    scored = sum(t["score"] is not None for t in search.trials)
    assert 10 < scored < 15
    with refuses("15", str(scored), "trials=30") as caught:
        search.plot("importance")
    assert "\n" not in str(caught.value)
    few = many(15, lambda v, draw: v["size"])
    importance = importance_of(few, ACCURACY, SPACE)
    assert importance.trials == 15
    assert_mentions(
        dict(importance.left_out)["momentum"],
        str(sum("momentum" in t.hyperparameters for t in few)),
    )


def test_importance_leaves_out_constant_settings_and_refuses_equal_scores():
    trials = [
        replace(t, hyperparameters=t.hyperparameters | {"size": 3})
        for t in many(30, lambda v, draw: draw.random())
    ]
    assert_mentions(dict(importance_of(trials, ACCURACY, SPACE).left_out)["size"], "value")
    with refuses("20 trials", "score"):
        importance_of(many(20, lambda v, draw: 1.0), ACCURACY, SPACE)


def test_hyperbands_rounds_of_a_point_count_once():
    trials = many(20, lambda v, draw: draw.random())
    again = [replace(t, number=20 + i, score=t.score + 0.1) for i, t in enumerate(trials[:6])]
    assert importance_of(trials + again, ACCURACY, SPACE).trials == 20


# ---------------------------------------------------------------- save_preset


def test_the_winner_can_be_saved_and_loaded_as_a_preset(search, tmp_path, registry_as_it_was):
    file = search.save_preset("tuned_iris", tmp_path / "mine.toml")
    kzoo.load_presets(file)
    preset = kzoo.get_preset("tuned_iris")
    spec = search.best_spec()
    assert (preset.family, preset.task, preset.dataset) == ("fnn", "tabular_classification", "iris")
    assert preset.config == spec["config"] and preset.training == spec["training"] | {
        "labels": "onehot"
    }
    assert spec["training"]["label_smoothing"] > 0  # which kzoo.build refuses with integer labels
    model = kzoo.build("tuned_iris")
    assert (
        preset.params
        == model.count_params()
        == kzoo.build("iris_fnn", **search.best_config()).count_params()
    )
    assert preset.params != kzoo.get_preset("iris_fnn").params
    assert_mentions(preset.summary, f"{search.best_trial()['score']:.4g}", "40 trials")
    for a, b in zip(model.get_weights(), kzoo.build("tuned_iris").get_weights(), strict=True):
        assert np.shape(a) == np.shape(b)


def test_a_preset_is_saved_in_the_folder_of_the_search(search):
    file = search.save_preset("saved_iris")
    assert file == search.path / "saved_iris.toml" and list(tomllib.loads(file.read_text())) == [
        "saved_iris"
    ]
    file.unlink()


@pytest.mark.parametrize(
    ("name", "path", "parts"),
    [
        ("iris_fnn", None, ("preset", "'iris_fnn'", "already", "name")),
        ("no good", None, ("'no good'", "letters", "digits", "underscores")),
        (7, None, ("7", "letters", "digits", "underscores")),
        ("new_iris", "x.yaml", ("path='x.yaml'", ".toml")),
        ("new_iris", "nowhere/x.toml", ("path='nowhere/x.toml'", "folder", "'nowhere'")),
        ("new_iris", "present.toml", ("present.toml", "already", "path=")),
    ],
)
def test_save_preset_refuses_bad_names_and_paths_on_a_single_line(
    search, tmp_path, name, path, parts
):
    (tmp_path / "present.toml").write_text("x = 1\n")
    with refuses(*parts) as caught:
        search.save_preset(name, path)
    assert "\n" not in str(caught.value)
    assert (
        not (search.path / f"{name}.toml").exists()
        and (tmp_path / "present.toml").read_text() == "x = 1\n"
    )


def test_save_preset_needs_a_scored_trial(tmp_path):
    search = make_search(tmp_path / "lost", 4, status=lambda number: "diverged")
    with refuses(str(search.path), "score", "kzoo.tune"):
        search.save_preset("lost_iris")
