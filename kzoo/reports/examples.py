"""Examples and worst mistakes, as a reader sees them: images, sentences, rows of a table."""

import base64
import io

import numpy as np
from PIL import Image

from kzoo.data.encode_table import feature_names
from kzoo.data.encode_text import tokenizer_of
from kzoo.reports.pictures import FIRST
from kzoo.tasks import problem, target_of
from kzoo.words import number, percent

_MOST_COLUMNS = 16
_LARGEST = 64  # pixels of an image that stays as sharp as it was
_THUMBNAIL = 192


def examples_of(run):
    """Return two lists of examples, the first of the split and the worst answers, or None where there are none.

    Each example has `image`, `text` or `cells`, and `truth`, `answer`, `right` and `sure`.
    """
    answers, data = run.answers, run.config["data"]
    if answers is None or data["inputs"] == "series":
        return None
    shown = answers["shown"]
    kind, columns, inputs = _READERS[data["inputs"]](answers["inputs"], run.preprocessing, data["feature_names"])
    one = problem(data["task"])
    about = _class_of if "classes" in one.facts else _value_of
    judged = one.task.scoring.judge(answers["truth"], answers["answers"], target_of(data, run.config["spec"]["config"]))
    rows = [
        {"input": inputs[i], "quality": float(judged.quality[row])}
        | about(answers["truth"][row], answers["answers"][row], run.class_names)
        for i, row in enumerate(shown)
    ]
    first = min(FIRST, len(answers["truth"]))
    worst = [row for row in rows[:first] if not row["right"]] + rows[first:]
    return dict(
        kind=kind,
        columns=columns,
        classes="classes" in one.facts,
        first=rows[:first],
        worst=sorted(worst, key=lambda row: row["quality"]),
    )


def _class_of(truth, probabilities, names):
    guess = int(probabilities.argmax())
    return dict(
        truth=names[int(truth)],
        answer=names[guess],
        right=guess == int(truth),
        sure=percent(probabilities[guess]),
    )


def _value_of(truth, values, _):
    error = float(np.abs(truth - values.reshape(truth.shape)).mean())
    return dict(truth=_numbers(truth), answer=_numbers(values), right=True, sure=number(error))


def _numbers(values):
    return ", ".join(number(float(v)) for v in np.ravel(values)[:6])


def _images(inputs, preprocessing, names):
    return "image", [], [_image(image) for image in inputs]


def _image(array):
    """Return an image as a data URL; a small one keeps its pixels."""
    pixels = np.asarray(array, "float64")
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels[..., :1]
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if low < 0 or high > 255:  # scaled by the user
        pixels = (pixels - low) / max(high - low, 1e-9)
    if pixels.max(initial=0) <= 1:
        pixels = pixels * 255
    pixels = pixels.astype("uint8")
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    small, buffer = max(picture.size) <= _LARGEST, io.BytesIO()
    if small:
        picture.save(buffer, "PNG")
    else:
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        picture.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return dict(url=f"data:image/{'png' if small else 'jpeg'};base64,{data}", small=small)


def _sentences(inputs, preprocessing, names):
    if "vocabulary" in preprocessing:
        tokenizer = tokenizer_of(preprocessing)
        return "text", ["text, as the model reads it"], [[tokenizer.decode(ids)] for ids in inputs]
    return "text", ["token ids"], [[" ".join(str(i) for i in np.trim_zeros(ids, "b"))] for ids in inputs]


def _rows(inputs, preprocessing, names):
    columns = preprocessing.get("columns", ())
    names = list(feature_names(columns)) or list(names) or [f"x{i + 1}" for i in range(inputs.shape[1])]
    rows = [_read(dict(zip(names, row, strict=True)), columns) for row in inputs]
    names = list(rows[0])[:_MOST_COLUMNS]
    return "row", names, [[row[name] for name in names] for row in rows]


def _read(row, columns):
    """Turn the numbers of a row back into what stood in the table: names of categories, and what was missing."""
    cells = {name: f"{value:.6g}" for name, value in row.items()}
    for column in columns:
        name = column["name"]
        if column["kind"] == "category":
            cells[name] = ["unknown or missing", *column["values"]][int(row[name])]
        elif column["missing"]:
            del cells[mark := f"{name} is missing"]
            if row[mark]:
                parts = [f"{name} {part}" for part in column["medians"]] if column["kind"] == "date" else [name]
                cells |= dict.fromkeys(parts, "missing")
    return cells


# What the data is -> how its examples are shown.
_READERS = {"image": _images, "tokens": _sentences, "rows": _rows}
