"""What an export must reach: size and score of int8, and time for one input. On real data; minutes."""

import pytest

import kzoo

# Preset -> its data, and settings that make it large enough for the graph itself not to count.
INT8 = {
    "tabular_resnet": ("breast_cancer", dict(units=(256, 256))),
    "digits_cnn": ("digits", {}),
    "text_transformer": ("pydocs", {}),
    "text_lstm": ("pydocs", {}),
    "text_gru": ("pydocs", {}),
}


# the scores are means over so many: in a test set of 359 images, two of them are .56 points
SPLITS = 5


@pytest.mark.slow
@pytest.mark.parametrize("name", INT8)
def test_int8_is_a_third_as_large_and_as_good(name, tmp_path):
    (data, settings), formats = INT8[name], ("onnx", "litert")
    lost = {key: [] for key in formats}
    for split in range(SPLITS):
        folder = tmp_path / str(split)
        run = kzoo.train(
            name, data, out=folder / "run", data_seed=split, progress=False, **settings
        )
        exported = kzoo.export(run, folder / "exported", formats, quantize="int8", progress=False)
        for key in formats:
            full = exported.exports[key]
            small = exported.exports[f"{key}_int8"]
            print(
                name,
                split,
                key,
                small["bytes"] / full["bytes"],
                full["score"],
                small["score"],
                small["agreement"],
            )
            assert small["status"] == "ok", small.get("error")
            assert small["bytes"] <= 0.3 * full["bytes"]
            lost[key].append(full["score"] - small["score"])
    for key in formats:
        print(name, key, "lost", sum(lost[key]) / SPLITS)
        assert sum(lost[key]) / SPLITS <= 0.005


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar_cnn", "imdb_lstm"])
def test_one_input_takes_a_fortieth_of_predict(name, tmp_path):
    exported = kzoo.export(kzoo.build(name), tmp_path / "exported", "onnx", progress=False)
    ratio = exported.config["predict_ms"]["1"] / exported.exports["onnx"]["latency_ms"]["1"]
    print(name, exported.config["predict_ms"], exported.exports["onnx"]["latency_ms"], ratio)
    assert ratio >= 40
