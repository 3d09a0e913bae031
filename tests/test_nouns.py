"""The records of `kzoo.problems.stored_types` are frozen, survive their JSON, and refuse unknown entries."""

import dataclasses
import json

import numpy as np
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.data.options import DataOptions
from kzoo.data.splits import Fold
from kzoo.problems.stored_types import (
    Description,
    Member,
    Request,
    Spec,
    differences,
    may_be_same_run,
    to_stored,
)
from kzoo.training.journal import State, write_journal
from kzoo.utils.errors import KzooError

SPEC = Spec(
    preset="iris_fnn",
    family="fnn",
    task="tabular_classification",
    config=dict(units=(8, 8)),
    training=dict(epochs=3),
    seed=1,
    kzoo="0.1.0",
)
DATA = Description(
    name="iris",
    data_seed=0,
    options=dict(target=None, validation=0.1, test=None),
    fingerprint="abc",
    task="tabular_classification",
    inputs="rows",
    train=108,
    validation=12,
    test=30,
    class_names=("a", "b", "c"),
)
JOINED = Spec(
    preset="ensemble",
    family=None,
    task="tabular_classification",
    config={},
    training={},
    method="mean",
    members=(
        Member(spec=SPEC, run="one", created="2026"),
        Member(spec=SPEC, run="two", created="2026"),
    ),
)


def on_disk(noun):
    return json.loads(json.dumps(noun.json()))


@pytest.mark.parametrize("noun", [SPEC, DATA, JOINED], ids=["spec", "data", "ensemble"])
def test_a_record_is_read_as_it_was_written(noun):
    stored = on_disk(noun)
    assert on_disk(type(noun).read(stored)) == stored


@pytest.mark.parametrize("noun", [SPEC, DATA, JOINED], ids=["spec", "data", "ensemble"])
def test_unknown_and_missing_entries_are_refused_in_one_line(noun):
    stored = on_disk(noun)
    for wrong in (
        stored | {"mood": 1},
        {k: v for k, v in stored.items() if k != "task"},
        ["task"],
        None,
    ):
        with pytest.raises(KzooError) as refused:
            type(noun).read(wrong)
        assert "\n" not in str(refused.value)
    with refuses("'mood'", "update kzoo"):
        type(noun).read(stored | {"mood": 1})
    with refuses("'task'"):
        type(noun).read({k: v for k, v in stored.items() if k != "task"})


def test_a_record_shares_no_values_with_its_callers():
    config = {"units": (8,)}
    spec = dataclasses.replace(SPEC, config=config)
    config["units"] = (9,)
    spec.json()["config"]["units"] = (10,)
    assert spec.config == {"units": (8,)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.seed = 2


def test_differences_of_a_run_and_a_request_come_with_the_data_first():
    request = Request(data=DATA, spec=SPEC, precision="float32", backend="jax", deterministic=False)
    stored = json.loads(json.dumps(request.json())) | {"command": "kzoo train iris_fnn"}
    assert request.differences(stored) == []
    other = dataclasses.replace(
        request,
        data=dataclasses.replace(DATA, train=100),
        spec=dataclasses.replace(SPEC, config={"units": (4, 8)}),
    )
    of_data, of_network = other.differences(stored)
    assert_mentions(of_data, "data.train", "108", "100")
    assert_mentions(of_network, "spec.config.units", "[8, 8]", "[4, 8]")
    assert differences({}, {"new": 1}) == []  # a run of an older kzoo has no such entry


@pytest.mark.parametrize(
    "options",
    [
        DataOptions(),
        DataOptions(target=["a", "b"], test=0.3, drop=("c",), group="shop", seed=4),
        DataOptions(test=Fold(1, 3, False, 7)),
        DataOptions(clip=True, time="date"),
    ],
)
def test_options_of_data_are_restored_from_their_stored_form(options):
    stored = json.loads(json.dumps(options.stored()))
    again = DataOptions.of(dataclasses.replace(DATA, **stored))
    assert json.loads(json.dumps(again.stored())) == stored
    assert again.test == options.test and again.seed == options.seed and again.clip == options.clip


def test_arrays_as_test_data_and_groups_are_not_stored():
    options = DataOptions(
        test=(np.ones((2, 3)), np.ones(2)), group=np.arange(2), target=np.array(["a", "b"])
    )
    assert options.stored()["options"] | {"target": None} == DataOptions().stored()["options"]
    assert options.stored()["options"]["target"] == ["a", "b"]


def test_a_run_of_a_later_format_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(dict(format_version=2, spec={}, data={})))
    with refuses("config.json", "format_version 2", "1", "update kzoo"):
        kzoo.evaluate(tmp_path)


def test_a_journal_of_another_version_is_refused(tmp_path):
    state = State(
        epoch=1,
        step=0,
        stopped=False,
        variables=[np.ones(2, "float32")],
        optimizer=[],
        metrics=[],
        callbacks=[],
        random={},
        seconds=1.5,
        resumed=0,
        rollbacks=0,
        chunked=False,
    )
    state.write(tmp_path)
    read, lines = State.newest(tmp_path)
    assert lines == [] and read.seconds == 1.5 and read.variables[0].tolist() == [1, 1]
    write_journal(tmp_path, vars(state) | {"weather": "fine"})
    with refuses("version", "weather", "resume='never'"):
        State.newest(tmp_path)


def test_a_run_may_match_a_request_if_no_stored_entry_differs():
    request = Request(data=DATA, spec=SPEC)
    overrides = {"units": (8,), "epochs": np.int64(3), "class_weight": {np.int64(0): np.float32(2)}}
    stored = on_disk(request) | {"overrides": to_stored(overrides)}
    json.dumps(stored)
    wanted = {"spec": {"preset": "iris_fnn", "seed": 1}, "data": {"name": "iris"}, "weights": None}
    assert may_be_same_run(stored, wanted, {"epochs": 3, "units": 8, "class_weight": {"0": 2.0}})
    for other in ({}, overrides | {"units": (8, 8)}, overrides | {"dropout": 0.2}):
        assert not may_be_same_run(stored, wanted, other)
    assert not may_be_same_run(stored, wanted | {"spec": {"seed": 2}}, overrides)
    # an older run stores no overrides
    assert may_be_same_run(on_disk(request), wanted, {"units": 4})
