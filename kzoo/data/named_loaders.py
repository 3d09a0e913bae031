"""Loaders of named data sets: scikit-learn's, generated ones, the Python documentation, and Keras' downloads.

`named.py` lists which function loads which set. Those of tables return a DataFrame with the target last; all others
take the request and return a `Dataset`.
"""

import pydoc_data.topics
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data import downloads
from kzoo.data.arrays import load_arrays
from kzoo.data.dataset import Dataset
from kzoo.data.generated import cylinder_bell_funnel, opinions, shapes
from kzoo.data.inputs.rows.in_memory import load_table
from kzoo.data.inputs.series.fitting import load as load_series
from kzoo.data.inputs.text.fitting import build_text
from kzoo.data.inputs.text.language import load_language, text_settings
from kzoo.data.options import LoadRequest
from kzoo.inference.kinds.text.inference import preprocessing_of
from kzoo.inference.kinds.text.tokenizer import Tokenizer
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    from pandas import DataFrame

# Classes of the `pydocs` sentences -> their topics in the Python documentation.
PYDOCS_THEMES = {
    "classes": ("specialnames",),
    "debugger": ("debugger",),
    "sequences": ("typesseq", "typesmapping"),
    "statements": ("compound", "assignment", "import"),
    "strings": ("string-methods", "formatstrings", "strings"),
    "types": ("types",),
}
_FEWEST_WORDS = 5
_CBF_TRAIN = 100  # series that are not in the test split
_ADDING_ROWS, _ADDING_TEST = 20_000, 2_000


def load_frame(request: LoadRequest, frame: "DataFrame") -> Dataset:
    """Load a table whose last column is the target, unless another is named."""
    options = request.options
    if options.target is None:
        options = replace(options, target=frame.columns[-1])
    return load_table(replace(request, source=frame, form="tabular", options=options))


def sklearn_table(name: str) -> "DataFrame":
    bunch = getattr(import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch:
        frame = frame.assign(target=bunch.target_names[frame["target"]].astype(str))
    return frame


def line() -> "DataFrame":
    # The exact data of the tutorial: y = 4 + 3 x + noise.
    random = np.random.RandomState(42)
    x = 2 * random.rand(100, 1)
    y = 4 + 3 * x + random.randn(100, 1)
    return pd.DataFrame({"x": x[:, 0], "y": y[:, 0]})


def california() -> "DataFrame":
    arrays = downloads.read_npz(downloads.find_file("california_housing.npz"))
    # Keras documents the eight columns, but not their order in the file.
    columns = [f"x{i + 1}" for i in range(arrays["x"].shape[1])]
    return pd.DataFrame(arrays["x"], columns=columns).assign(
        median_house_value=arrays["y"].reshape(-1)
    )


def digits(request: LoadRequest) -> Dataset:
    images, labels = _digits()
    x = (images * (255 / 16)).astype(np.float32)[..., None]  # (N, 8, 8, 1)
    return _images(request, x, labels, None, [str(i) for i in range(10)])


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits, read from its file: importing scikit-learn takes half a second."""
    spec = find_spec("sklearn")
    file = (
        Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if spec and spec.origin
        else None
    )
    if file is None or not file.is_file():
        digits = import_module("sklearn.datasets").load_digits()
        return digits.images, digits.target
    rows = np.loadtxt(file, delimiter=",")  # 64 pixels and a label each
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)


def _images(
    request: LoadRequest,
    x: np.ndarray,
    y: np.ndarray,
    official: tuple[np.ndarray, np.ndarray] | None,
    classes: Sequence[str],
) -> Dataset:
    """Load images; the official test split is used unless the user sets another."""
    if official is not None:
        request = _with_test(request, official)
    arrays = x, np.asarray(y).reshape(-1)
    return load_arrays(replace(request, source=arrays), class_names=classes)


def _with_test(request: LoadRequest, test: tuple[np.ndarray, np.ndarray]) -> LoadRequest:
    """Return the request with a test split of its own, unless the user sets another."""
    if request.options.test is not None:
        return request
    return replace(request, options=replace(request.options, test=test))


def _with_note(data: Dataset, note: str) -> Dataset:
    """Add a note on a data set before the others."""
    data.notes.insert(0, note)
    return data


def drawn_shapes(request: LoadRequest) -> Dataset:
    x, y, classes = shapes()
    return _images(request, x, y, None, classes)


def mnist(request: LoadRequest) -> Dataset:
    arrays = downloads.read_npz(downloads.find_file("mnist.npz"))
    test = arrays["x_test"][..., None], arrays["y_test"]
    classes = [str(i) for i in range(10)]
    return _images(request, arrays["x_train"][..., None], arrays["y_train"], test, classes)


_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion(request: LoadRequest) -> Dataset:
    train, test = downloads.read_fashion()
    return _images(request, train[0], train[1], test, _CLOTHES)


def cifar(request: LoadRequest, count: int) -> Dataset:
    train, test, classes = downloads.read_cifar(count)
    return _images(request, train[0], train[1], test, classes)


def adding(request: LoadRequest) -> Dataset:
    preset = request.preset
    length = (preset and preset.config["input_shape"][0]) or 100
    if length < 2:
        raise KzooError(f"The adding problem needs at least 2 steps, but input_shape has {length}.")
    random = np.random.default_rng(request.options.seed)
    n = _ADDING_ROWS + _ADDING_TEST * 2
    x = np.zeros((n, length, 2), np.float32)
    x[..., 0] = random.random((n, length), np.float32)
    marks = np.stack(
        [random.integers(0, length // 2, n), random.integers(length // 2, length, n)], axis=1
    )
    np.put_along_axis(x[..., 1], marks, 1, axis=1)
    y = np.take_along_axis(x[..., 0], marks, axis=1).sum(axis=1)
    options = request.options
    if options.test is None:
        test = x[-_ADDING_TEST:], y[-_ADDING_TEST:]
        x, y = x[:-_ADDING_TEST], y[:-_ADDING_TEST]
        is_default = options.validation == 0.1
        validation = _ADDING_TEST / len(x) if is_default else options.validation
        options = replace(options, test=test, validation=validation)
    options = replace(options, task="sequence_regression")
    data = load_arrays(replace(request, source=(x, y), options=options))
    return _with_note(
        data,
        f"Two of {length} numbers are marked; the target is their sum. Always predicting 1 has an MSE of 0.167.",
    )


def waves() -> "DataFrame":
    """Return the table of `sine`."""
    random = np.random.default_rng(0)
    hours = np.arange(6000)
    daily = np.sin(2 * np.pi * hours / 24) + 0.4 * np.sin(4 * np.pi * hours / 24 + 1)
    weekly = 0.6 * np.sin(2 * np.pi * hours / 168)
    value = 10 + 3 * daily + 3 * weekly + 0.5 * random.standard_normal(len(hours))
    return pd.DataFrame(
        {"time": pd.date_range("2020-01-01", periods=len(hours), freq="h"), "value": value}
    )


def cbf(request: LoadRequest) -> Dataset:
    """Load series with a cylinder, a bell or a funnel somewhere in the noise (Saito 1994, doi:10.5555/221266)."""
    x, classes, names = cylinder_bell_funnel()
    if request.options.test is None:
        request = _with_test(request, (x[_CBF_TRAIN:], classes[_CBF_TRAIN:]))
        x, classes = x[:_CBF_TRAIN], classes[:_CBF_TRAIN]
    data = load_arrays(replace(request, source=(x, classes)), class_names=list(names))
    return _with_note(
        data,
        "Series of 128 steps with a cylinder, a bell or a funnel of random place and length, and noise.",
    )


def sine(request: LoadRequest) -> Dataset:
    forecasts = replace(request, source=waves(), form="tabular", problem=problem("forecasting"))
    return _with_note(
        load_series(forecasts), "Daily and weekly sine waves with noise of standard deviation 0.5."
    )


def pydocs(request: LoadRequest) -> Dataset:
    topics = pydoc_data.topics.topics
    preset = request.preset
    if preset is not None and "continues" in problem(preset.task).facts:
        return load_language(
            request, {"train": "\n\n".join(topics[name] for name in sorted(topics))}
        )
    theme_of: dict[str, str | None] = {}
    for theme, names in PYDOCS_THEMES.items():
        for sentence in (s for name in names for s in _sentences(topics.get(name, ""))):
            # A sentence with two themes is ambiguous and left out.
            theme_of[sentence] = theme if theme_of.get(sentence, theme) == theme else None
    pairs = [(sentence, theme) for sentence, theme in theme_of.items() if theme]
    texts, labels = zip(*pairs, strict=True)
    note = f"Sentences of the Python documentation. The class is the theme: {', '.join(PYDOCS_THEMES)}."
    return build_text(request, list(texts), list(labels), notes=[note], targets=["theme"])


def _sentences(topic: str) -> list[str]:
    paragraphs = [re.sub(r"\s+", " ", part).strip() for part in topic.split("\n\n")]
    pieces = [
        piece for part in paragraphs for piece in re.split(r"(?<=[.!?:])\s+(?=[A-Z\"(])", part)
    ]
    return [piece for piece in pieces if len(piece.split()) >= _FEWEST_WORDS]


def written_opinions(request: LoadRequest) -> Dataset:
    note = "Generated sentences: 'not good' is a complaint, and the part after 'but' decides."
    return build_text(request, *opinions(), notes=[note], targets=["opinion"])


def word_ids(request: LoadRequest, name: str, classes: Sequence[str] | None = None) -> Dataset:
    arrays = downloads.read_npz(downloads.find_file(f"{name}.npz"))
    words = downloads.read_json(downloads.find_file(f"{name}_word_index.json"))
    length, size, *_ = text_settings(request.preset)
    # Words by rank: id 1 in the file is the most frequent word, which is id 2 here (0 is padding, 1 unknown).
    vocabulary = sorted(words, key=words.get)[: size - 2]
    tokenizer = Tokenizer(vocabulary=vocabulary, punctuation=False)
    if "x_train" in arrays:
        x, y = arrays["x_train"], arrays["y_train"]
        if request.options.test is None:
            test_ids = _ranks_to_ids(arrays["x_test"], length, len(tokenizer))
            request = _with_test(request, (test_ids, arrays["y_test"]))
    else:
        x, y = arrays["x"], arrays["y"]
    names = classes or [str(i) for i in range(int(max(y)) + 1)]
    return load_arrays(
        replace(request, source=(_ranks_to_ids(x, length, len(tokenizer)), y)),
        class_names=names,
        preprocessing=preprocessing_of("text", tokenizer, length),
        vocabulary_size=len(tokenizer),
    )


def _ranks_to_ids(rows: Sequence[Sequence[int]] | np.ndarray, length: int, size: int) -> np.ndarray:
    ids = np.zeros((len(rows), length), np.int32)
    for id_row, row in zip(ids, rows, strict=True):
        ranks = np.asarray(row[:length])
        id_row[: len(ranks)] = np.where((ranks >= 1) & (ranks + 1 < size), ranks + 1, 1)
    return ids
