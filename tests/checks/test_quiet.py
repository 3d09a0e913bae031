"""Named data sets without download have no finding with any preset that is meant for them."""

import os
import time
from pathlib import Path

import pytest
from processor import in_units

import kzoo
from kzoo.checks import CHECKS, run_checks
from kzoo.checks.subject import Subject
from kzoo.data.named import NAMES
from kzoo.training.suggestions import is_installed

HERE = (
    "iris",
    "wine",
    "breast_cancer",
    "diabetes",
    "line",
    "digits",
    "shapes",
    "adding",
    "sine",
    "cbf",
    "pydocs",
    "opinions",
)
# whose encoder is in an extra
MISSING = tuple(name for name in kzoo.list_presets() if not is_installed(name))
DEFAULTS = [(name, kzoo.get_preset(name).dataset) for name in kzoo.list_presets(exclude=MISSING)]
PAIRS = [pair for pair in DEFAULTS if pair[1] in HERE] + [
    ("image_cnn", "shapes"),
    ("text_cnn", "opinions"),
    ("text_lstm", "opinions"),
    ("tabular_fnn", "iris"),
    ("tabular_fnn", "wine"),
    ("tabular_fnn", "diabetes"),
    ("tabular_transformer", "diabetes"),
]
REAL = os.environ.get("KZOO_REAL_DATA")


def test_all_named_sets_are_covered():
    downloads = {
        "mnist",
        "fashion_mnist",
        "cifar10",
        "cifar100",
        "imdb",
        "reuters",
        "california_housing",
    }
    assert set(HERE) | downloads == set(NAMES) and {data for _, data in PAIRS} == set(HERE)


# A preset for each kind of data and each task, with its default data set.
_DEEP = ("iris_fnn", "line_fnn", "digits_cnn", "series_tcn", "text_cnn", "tabular_transformer")
DEEP = {(name, kzoo.get_preset(name).dataset) for name in _DEEP}


@pytest.mark.parametrize("preset, data", [pair for pair in PAIRS if pair not in DEEP])
def test_named_sets_have_no_findings(preset, data):
    assert kzoo.check(preset, data, deep=False) == []


@pytest.mark.parametrize("preset, data", sorted(DEEP))
def test_no_findings_with_gradient_steps(preset, data):
    assert data in HERE and kzoo.check(preset) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset, data", PAIRS)
def test_no_findings_with_gradient_steps_on_all_sets(preset, data):
    assert kzoo.check(preset, data) == []


QUICK = 100  # units of `processor`, about a second


def units(preset, data):
    """The least of up to three times of the processor that the quick checks take, with data and network at hand."""
    loaded = kzoo.load_data(data, preset=preset)
    config = {
        k: v
        for k, v in loaded.config.items()
        if k in kzoo.get_preset(preset).config and v is not None
    }
    model = kzoo.build(preset, **config)
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        run_checks(
            Subject(loaded, model, kzoo.get_preset(preset).training),
            ("settings", "data", "network"),
        )
        best = min(best, in_units(time.process_time() - began))
        if best < QUICK:
            break
    return best


@pytest.mark.parametrize(
    "preset, data", [("adding_lstm", "adding"), ("char_gru", "pydocs"), ("image_cnn", "shapes")]
)
def test_quick_checks_end_within_a_second(preset, data):
    assert units(preset, data) < QUICK


@pytest.mark.slow
@pytest.mark.skipif(
    not REAL,
    reason="KZOO_REAL_DATA names no folder with cifar10/, reviews/, shakespeare.txt, ETTh1.csv",
)
@pytest.mark.parametrize(
    "source, presets, options",
    [
        ("cifar10", ("cifar_cnn", "cifar_resnet", "cifar_vit", "cifar_mobile", "image_cnn"), {}),
        (
            "reviews",
            (
                "text_ngrams",
                "text_cnn",
                "text_lstm",
                "text_gru",
                "text_rnn",
                "text_bilstm",
                "text_transformer",
            ),
            {},
        ),
        ("shakespeare.txt", ("char_gru", "char_transformer", "language_gru"), {}),
        (
            "ETTh1.csv",
            ("series_gru", "series_lstm", "series_rnn", "series_tcn", "series_transformer"),
            {},
        ),
        ("ETTh1.csv", ("tabular_fnn", "tabular_transformer"), {"target": "OT"}),
    ],
)
def test_real_data_has_no_findings(source, presets, options):
    path = Path(REAL) / source
    if not path.exists():
        pytest.skip(f"{path.name} is not in KZOO_REAL_DATA")
    loaded = (
        kzoo.load_data(path, preset=presets[0], **options) if source == "cifar10" else str(path)
    )
    for preset in presets:
        assert kzoo.check(preset, loaded, **({} if source == "cifar10" else options)) == [], preset


def test_every_check_has_a_test_that_plants_its_fault():
    kzoo.check("iris_fnn", deep=False)
    texts = "".join(
        file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py")
    )
    assert len(CHECKS) >= 20
    constants = {
        "duplicates_across_splits": "TWICE",
        "rows_belong_together": "BELONG",
        "column_gives_class_away": "CLASS",
        "column_gives_value_away": "VALUE",
    }
    for name in CHECKS:
        assert (
            f'finding_of("{name}"' in texts
            or f'["{name}' in texts
            or f'"{name}"' in texts
            or constants[name] in texts
        ), name
