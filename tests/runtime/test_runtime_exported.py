"""Files of `kzoo.export` in `kzoo.runtime`: every format gives the answers of `kzoo.predict`."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from messages import warns

import kzoo
import kzoo.runtime


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "rows", "values", "texts", "series", "language"])
def test_every_format_of_every_kind(name, request, sources, tmp_path):
    pair = request.getfixturevalue(name)
    inputs = {
        "images": sources / "photos" / "dark",
        "rows": sources / "customers.csv",
        "values": kzoo.load_data("diabetes", preset="diabetes_fnn").test.x,
        "texts": ["the goal of the match", "soup", ""],
        "series": sources / "dated.csv",
        "language": ["to be or no", "the questio"],
    }[name]
    exported = kzoo.export(
        pair.run,
        tmp_path / "exported",
        ["onnx", "litert"],
        quantize=["float16", "int8"],
        progress=False,
    )
    warning = partial(warns, "1 of 3", "word", "row 3") if name == "texts" else nullcontext
    with warning():
        expected = kzoo.predict(pair.run, inputs)
    runnable = [key for key, entry in exported.exports.items() if entry["file"]]
    assert {"onnx", "litert"} <= set(runnable)
    for key in runnable:
        with warning():
            answers = kzoo.runtime.load(exported, key).predict(inputs)
        assert answers.class_names == expected.class_names and answers.inputs == expected.inputs
        ours, theirs = (
            a.values if a.probabilities is None else a.probabilities for a in (answers, expected)
        )
        # of a value in its own unit
        spread = max(pair.run.config["spec"]["config"].get("target_scale") or [1])
        allowed = {"float16": 1e-2, "int8": 0.15}.get(exported.exports[key]["quantize"], 1e-4)
        np.testing.assert_allclose(ours, theirs, atol=allowed * spread, err_msg=key)


@pytest.mark.slow
def test_a_model_of_no_run_takes_arrays_and_numbers_its_classes(tmp_path):
    model = kzoo.build(
        "char_gru", input_shape=(12,), units=(4,), embedding_dim=4, vocabulary_size=20, outputs=20
    )
    exported = kzoo.export(model, tmp_path / "exported", "onnx", progress=False)
    answers = kzoo.runtime.load(exported).predict(np.full((2, 12), 3))
    assert answers.class_names == ("<pad>", "<unk>", *(str(number) for number in range(2, 20)))
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-5)
