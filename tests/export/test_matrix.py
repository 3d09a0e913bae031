"""Every preset in every format. Writes the table of `kzoo/export/README.md` when all of them were run."""

import json
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from test_presets import small

import kzoo
from kzoo.export.formats import formats

FORMATS = list(formats())
README = Path(kzoo.__file__).parent / "export" / "README.md"
# presets whose page is refused while it is written: series that are arrays, and more than 40 MB
NO_PAGE = "series_rocket", "text_pretrained", "text_pretrained_ngrams"
_MARKS = "<!-- matrix -->", "<!-- /matrix -->"


@pytest.fixture(scope="session")
def rows():
    results = {}
    yield results
    if set(results) == set(kzoo.list_presets()):
        write_matrix(results)


def write_matrix(results):
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("keras", "tensorflow", "onnxruntime", "ai-edge-litert", "tf2onnx")
    )
    lines = [
        f"Measured with {versions} on {platform.machine()}: largest difference from Keras, time for one input.",
        "",
        f"| preset | `predict()` | {' | '.join(FORMATS)} |",
        f"|---|---|{'---|' * len(FORMATS)}",
    ]
    for name, (predict, exports) in sorted(results.items()):
        cells = [cell(exports.get(key)) for key in FORMATS]
        lines.append(f"| `{name}` | {predict['1']:.3g} ms | {' | '.join(cells)} |")
    begin, end = _MARKS
    before, rest = README.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    README.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}", encoding="utf-8")


def cell(entry):
    if entry is None:
        return "not for this input"
    if entry["status"] != "ok":
        return f"{entry['status']}: {entry['error']}"
    batch = f", batch {entry['batch']}" if entry["batch"] else ""
    return f"{entry['difference']:.0e}, {entry['latency_ms']['1']:.3g} ms{batch}"


def with_random_weights(name, **overrides):
    """Return a preset's network whose biases and running statistics are no zeros and ones, which hide mistakes."""
    model = kzoo.build(name, seed=0, **overrides)
    random = np.random.default_rng(0)
    for weight in model.weights:
        value = np.asarray(weight)
        # heads in closed form begin with zeros
        if weight.name in ("bias", "beta", "moving_mean") or not value.any():
            weight.assign(random.normal(scale=0.2, size=value.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.7, 1.3, size=value.shape))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", kzoo.list_presets())
def test_every_preset_in_every_format(name, tmp_path, rows):
    model = with_random_weights(name)
    spec = kzoo.spec_of(model)
    usable = [key for key, format in formats().items() if format.refuses(spec) is None]
    exported = kzoo.export(model, tmp_path / name, usable, progress=False)
    rows[name] = exported.config["predict_ms"], exported.exports
    assert exported.exports.keys() == {*usable}
    failed = {key for key, entry in exported.exports.items() if entry.get("error")}
    assert failed == ({"html", "html_folder"} if name in NO_PAGE else set())
    assert json.loads((exported.path / "kzoo.json").read_text())["spec"]["preset"] == name


VALUE = dict(outputs=1, output_activation=None)
YES_OR_NO = dict(outputs=1, output_activation="sigmoid")
CHEAP = [("tabular_tabm", VALUE)]
ONE = [
    (name, head)
    for name in kzoo.list_presets()
    if not name.startswith(("char_", "language_"))
    for head in (VALUE, YES_OR_NO)
    if "output_activation" in kzoo.get_preset(name).config
]


def answers_alike(name, head, folder, keys, **options):
    model = with_random_weights(name, **small(name) | head)
    exported = kzoo.export(model, folder, keys, progress=False, **options)
    assert {key: entry.get("error") for key, entry in exported.exports.items()} == dict.fromkeys(
        exported.exports
    )


@pytest.mark.usefixtures("warm_children")
@pytest.mark.parametrize(("name", "head"), CHEAP)
def test_one_output_becomes_litert(name, head, tmp_path):
    answers_alike(name, head, tmp_path / "one", ["litert"])


@pytest.mark.slow
@pytest.mark.usefixtures("warm_children")
@pytest.mark.parametrize(("name", "head"), ONE)
def test_one_output_in_every_format(name, head, tmp_path):
    answers_alike(name, head, tmp_path / "one", FORMATS, quantize=["float16", "int8"])
