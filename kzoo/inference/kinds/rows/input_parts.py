"""The columns of an encoded row, as the parts whose influence on predictions is explained. NumPy only."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from kzoo.problems.kinds import InputPart
from kzoo.problems.layout import code_columns
from kzoo.problems.preprocessors import LearnedColumn, TablePreprocessor
from kzoo.problems.stored_types import Config
from kzoo.utils.files import Json
from kzoo.utils.formatting import plural


def parts(reader: TablePreprocessor, config: Config, names: Sequence[str]) -> list[InputPart]:
    """Return a part for each column of the table.

    Args:
        reader: the preprocessor.
        config: settings of the network, which count the categories of rows without a preprocessor.
        names: of the columns of such rows; empty if they are not known.
    """
    if "columns" not in reader:
        return _parts_of_arrays(reader["shape"][0], config, names)
    result = []
    start = 0
    for column in reader["columns"]:  # numbers and dates, then categories, then texts
        width = column.get("length", len(column.get("medians", " "))) + bool(column.get("missing"))
        features = np.arange(start, start + width)
        cell = partial(_CELLS[column["kind"]], column)
        missing = bool(column.get("missing"))
        result.append(
            InputPart(
                name=column["name"],
                type=column["kind"],
                features=features,
                cell=cell,
                missing=missing,
            )
        )
        start += width
    return result


def _parts_of_arrays(width: int, config: Config, names: Sequence[str]) -> list[InputPart]:
    """Return a part for each column of rows that come as an array; texts in one, because their ids are not words."""
    names = list(names) if len(names) == width else [f"x{number + 1}" for number in range(width)]
    numbers = width - code_columns(config)
    codes = numbers + len(config.get("categories") or ())
    result = [
        InputPart(
            name=names[index],
            type="number" if index < numbers else "category",
            features=np.array([index]),
            cell=_array_cell,
        )
        for index in range(codes)
    ]
    for number, length in enumerate(config.get("text_lengths") or (), start=1):
        features = np.arange(codes, codes + length)
        result.append(
            InputPart(
                name=f"text {number}", type="text", features=features, cell=partial(_text_cell, {})
            )
        )
        codes += length
    return result


def typical(reader: TablePreprocessor, statistics: Mapping[str, Json]) -> np.ndarray | None:
    """Return one row (F,) of medians, most frequent categories and empty texts; None if they are not known.

    Args:
        reader: the preprocessor.
        statistics: of the training rows, see `kzoo.data.statistics`; empty if they are not stored.
    """
    codes = [int(np.argmax(category["shares"])) for category in statistics.get("categories", ())]
    if "columns" not in reader:
        medians = [
            feature["edges"][len(feature["edges"]) // 2]
            for feature in statistics.get("features", ())
        ]
        row: list[float | None] = [*medians, *codes]
        texts = reader["shape"][0] - len(row) if statistics.get("texts") else 0
        row += [0] * texts
        return np.array(row, np.float32) if row and len(row) == reader["shape"][0] else None
    row = []
    categories = iter(codes)
    for column in reader["columns"]:
        if column["kind"] == "category":
            row.append(next(categories, None))
        elif column["kind"] == "text":
            row += [0] * column["length"]
        else:
            row += column["medians"].values() if column["kind"] == "date" else [column["median"]]
            row += [0] if column["missing"] else []
    return None if None in row else np.array(row, np.float32)


def frequent_categories(reader: TablePreprocessor, row: Sequence[float]) -> dict[str, str]:
    """Return the name of each category column -> its category in an encoded row, such as the typical one.

    Args:
        reader: the preprocessor.
        row: (F,).
    """
    return {
        part.name: part.cell(values)
        for part, column in zip(parts(reader, {}, ()), reader["columns"], strict=True)
        if part.type == "category"
        and 0 < (values := np.asarray(row)[part.features])[0] <= len(column["values"])
    }


def _array_cell(values: np.ndarray) -> str:
    return f"{values[0]:.6g}"


def _number_cell(column: LearnedColumn, values: np.ndarray) -> str:
    return "missing" if column["missing"] and values[-1] else f"{values[0]:.6g}"


def _category_cell(column: LearnedColumn, values: np.ndarray) -> str:
    code = int(values[0])
    return column["values"][code - 1] if code else "unknown or missing"


def _date_cell(column: LearnedColumn, values: np.ndarray) -> str:
    if column["missing"] and values[-1]:
        return "missing"
    value = dict(zip(column["medians"], values.tolist(), strict=False))
    day = [f"{round(value[part]):02}" for part in ("year", "month", "day") if part in value]
    hour = f"{round(value['hour']):02}:00" if "hour" in value else ""
    return " ".join(text for text in ("-".join(day), hour) if text)


def _text_cell(column: LearnedColumn, values: np.ndarray) -> str:
    count = int(np.count_nonzero(values))  # only hashes are left of the words
    return f"text of {plural(count, 'id')}" if count else "empty"


_CELLS = {
    "number": _number_cell,
    "category": _category_cell,
    "date": _date_cell,
    "text": _text_cell,
}
