"""What a page stores of a model: columns, steps and promises for predictions, and facts to show.

No row of the data is stored: a category of fewer than five training rows becomes a hash, and of the errors from which
sets and intervals are made, only those at the levels that the page offers are stored, rounded up.
"""

import base64
import hashlib
import secrets
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.card import limits
from kzoo.export.training_rows import FEWEST, category_rows, covariate_rows
from kzoo.inference.kinds.rows.inference import codes_of, missing_value_categories
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.covariates import Covariate, covariates_of
from kzoo.inference.kinds.series.one_series import learned_time_format
from kzoo.inference.kinds.series.time_formats import NUMBERS
from kzoo.inference.kinds.series.times import Moments
from kzoo.inference.kinds.series.windows import as_written, target_count
from kzoo.inference.kinds.text.tokenizer import LEVELS
from kzoo.inference.postprocessors import conformal, error_vectors
from kzoo.inference.postprocessors.conformal_scores import cell_scores_at, score_at
from kzoo.inference.postprocessors.postprocessor import Postprocessor, Step
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.inference.tables.zones import offset_of
from kzoo.inference.tasks import classes, labels, ordinal, quantiles, values
from kzoo.problems.kinds import array_preprocessor, kind, kind_of, takes_ready_arrays
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.problems.tasks import Problem, problem, problem_for
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.i18n import LANGUAGES
from kzoo.zoo.results.score_facts import score_facts, trained_on

if TYPE_CHECKING:
    from kzoo.export.worker import Network


_HASH_BYTES = 6
_LEVELS = (0.8, 0.9, 0.95, 0.99)  # that the page offers
_SCORE_DIGITS = 7
_MOST_NUMBERS = 1000  # of an example of arrays
_MOST_CHANNELS = 3  # of images
_EXAMPLE_DIGITS = 4  # after the point, of the steps of a series
_RANGE_DIGITS = 2  # of the range of a column of series
_SLIDER_DIGITS = 2  # of the ends of a slider
_COLUMNS = ("number", "date", "text")  # that `rows.js` reads, besides categories
# the functions whose predictions `predictions.js` computes -> their name there
_TASKS: dict[Any, str] = {
    classes.answer: "classes",
    ordinal.answer: "ordinal",
    labels.answer: "labels",
    values.answer: "values",
    quantiles.answer: "quantiles",
}
# the steps that `predictions.js` computes, besides the promises
STEPS = (
    "quantile_widths",
    "target_range",
    "temperature_scaling",
    "vector_scaling",
    "platt_scaling",
    "isotonic_regression",
    "threshold",
    "label_thresholds",
)


def stored_model(network: "Network") -> JsonObject:
    """Return what predictions need, besides the network.

    Raises:
        KzooError: a column, a task or a step that the page does not compute.
    """
    solved = _problem(network)
    task = _TASKS.get(solved.task.inference.answer)
    if task is None:
        raise KzooError(
            f"predictions of the task {solved.name} are not supported. Export to onnx, for kzoo serve"
        )
    steps = Postprocessor.read(network.postprocessing)
    known = (*STEPS, conformal.NAME, error_vectors.NAME)
    if others := [s.name for s in steps.steps if s.name not in known]:
        raise KzooError(
            f"the postprocessing step {others[0]!r} is not supported. Export to onnx, for kzoo serve"
        )
    names = _class_names(network, solved)
    facts = kind(network.input_name).facts
    is_forecast = solved.ordered
    if (
        "steps" in facts
        and "ids" not in facts
        and not (is_forecast or _is_of_series(network.preprocessing))
    ):
        raise KzooError(
            "models of series as arrays are not supported. Train on a table with series_id=, or export to onnx, for "
            "kzoo serve"
        )
    reader = network.preprocessing or array_preprocessor(network.input_name, _shape(network))
    promise = steps.step(conformal.NAME)
    if is_forecast and takes_ready_arrays(reader):
        promise = None  # the scale of errors of a series is not known
    if "resize" in reader and reader["shape"][-1] > _MOST_CHANNELS:
        raise KzooError(
            "images with transparency are not supported. Train on 3 channels, or export to onnx, for kzoo serve"
        )
    return dict(
        name=network.name,
        kind=network.output_name,
        shape=_shape(network),
        task=task,
        classes=names,
        targets=list(network.targets) or _target_names(network, names),
        levels=list(network.config.get("quantiles") or ()),
        separator=reader.get("separator") or ";",
        horizon=_horizon(network) if is_forecast else None,
        mean=_mean(steps.step(error_vectors.NAME)),
        reader=_forecast_reader(reader, network, promise)
        if is_forecast and not takes_ready_arrays(reader)
        else _stored_reader(reader, network.about.get("statistics") or {}, network.about["data"]),
        steps=[
            dict(name=step.name, learned=step.learned) for step in steps.steps if step.name in STEPS
        ],
        promises=_promises(promise, solved, network, names),
    )


def _problem(network: "Network") -> Problem:
    """Return the problem; that of a custom model follows from its outputs."""
    task = network.spec.get("task")
    if task is not None:
        return problem(task)
    return problem_for(
        network.input_name, "values" if network.output_name == "values" else "classes"
    )


def _shape(network: "Network") -> list[int]:
    return list(network.model.inputs[0].shape[1:])


def _horizon(network: "Network") -> int:
    return int(network.model.outputs[0].shape[1])


def _class_names(network: "Network", solved: Problem) -> list[str]:
    outputs = network.model.outputs[0].shape[-1]
    if network.labels or solved.classes_of(()) is None:
        return list(network.labels)
    return [str(number) for number in range(2 if outputs == 1 else outputs)]


def _target_names(network: "Network", names: Sequence[str]) -> list[str]:
    count = 0 if names else network.model.outputs[0].shape[-1]
    return [f"target_{number}" for number in range(count)]


# Columns


def _stored_reader(
    reader: Mapping[str, Any], statistics: Mapping[str, Any], data: Mapping[str, Any] | None
) -> JsonObject:
    """Return the preprocessor of a table without rare categories; {} of images and arrays, whose shape is enough."""
    if "vocabulary" in reader:
        return {"texts": _stored_texts(reader)}
    if _is_of_series(reader):
        return {"series": _stored_series(reader)}
    if "columns" not in reader:
        return {}
    counts = iter(category_rows(statistics, data).values())
    columns = []
    for column in reader["columns"]:
        if column["kind"] == "category":
            columns.append(_stored_category(column, next(counts, None)))
            continue
        if column["kind"] not in _COLUMNS:
            raise KzooError(
                f"column {column['name']!r} is a {column['kind']}, which is not supported. Train with drop=, or export "
                "to onnx, for kzoo serve"
            )
        columns.append(dict(column))
    zones = reader.get("zones") or {}
    for name, zone in zones.items():
        if zone and "," not in zone and offset_of(zone) is None:
            raise KzooError(
                f"times of column {name!r} are in the time zone {zone}, which is not supported. Export to onnx, for "
                "kzoo serve"
            )
    typical = kind_of(reader).inference.typical(reader, statistics)
    return dict(
        columns=columns,
        zones=dict(zones),
        month_first=list(reader.get("month_first") or ()),
        typical=None if typical is None else typical.tolist(),
    )


def _stored_texts(reader: Mapping[str, Any]) -> JsonObject:
    """Return the preprocessor of texts with a hashed vocabulary: how many texts have a word is not known."""
    if reader["level"] not in LEVELS:
        raise KzooError(
            "the pieces of words that this model reads are not supported. Export to onnx, for kzoo serve"
        )
    settings = {name: reader[name] for name in ("level", "lowercase", "punctuation", "length")}
    codes = {token: code for code, token in enumerate(reader["vocabulary"], start=2)}
    characters = reader["level"] == "characters" and not reader.get("ngrams")
    return settings | {
        "ngrams": reader.get("ngrams"),
        "column": reader.get("column"),
        "vocabulary": _hidden(codes, codes if characters else {}),
    }


def _is_of_series(reader: Mapping[str, Any] | None) -> bool:
    return reader is not None and reader.get("kind") == "series_examples"


def _stored_series(reader: Mapping[str, Any]) -> JsonObject:
    """Return the preprocessor of labelled series."""
    return dict(
        columns=list(reader["columns"]),
        ids=list(reader["series_id"]),
        time=reader.get("time"),
        times=reader.get("times") or "",
        steps=reader["steps"],
        padded=bool(reader["padded"]),
        segment=reader.get("segment"),
        writings=dict(reader.get("writings") or {}),
    )


def _forecast_reader(
    reader: Mapping[str, Any], network: "Network", promise: Step | None
) -> JsonObject:
    """Return the preprocessor of forecasts; ids of series, and categories whose numbers are not known, are hashed."""
    calendar, time = Calendar.of(reader), reader.get("time")
    zone = (reader.get("zones") or {}).get(time)
    if calendar is not None and calendar.zone and offset_of(calendar.zone) is None:
        raise KzooError(
            f"times of column {time!r} are in the time zone {calendar.zone}, which is not supported. Train with times "
            "in UTC, or export to onnx, for kzoo serve"
        )
    if calendar is not None and calendar.step == "seconds" and calendar.every * 1000 % 1:
        raise KzooError(
            "steps of parts of milliseconds are not supported. Export to onnx, for kzoo serve"
        )
    ids = list(reader.get("ids") or ())
    series = dict.fromkeys([*ids, *_series_of_promise(promise)])
    return {
        "forecasts": dict(
            columns=list(reader["columns"]),
            outputs=target_count(reader),
            time=time,
            times=learned_time_format(reader),
            zone=zone,
            calendar=None if calendar is None else calendar.json(),
            fill=reader.get("fill") or "",
            uneven=bool(reader.get("uneven")),
            steps=reader["steps"],
            horizon=_horizon(network),
            writings=dict(reader.get("writings") or {}),
            ranges={name: _outward(pair) for name, pair in (reader.get("ranges") or {}).items()},
            ids=list(reader.get("series_id") or ()) or None,
            known=_hidden({name: code for code, name in enumerate(series, start=1)}, {}),
            knownCount=len(ids),
            covariates=[
                _stored_covariate(covariate, network) for covariate in covariates_of(reader)
            ],
            paddedAhead=bool(reader.get("padded_ahead")),
        )
    }


def _outward(pair: Sequence[float]) -> list[float]:
    """Return the ends of a range to two digits, which makes it wider: they are cells of rows."""
    roundings = ROUND_FLOOR, ROUND_CEILING
    return [
        float(Context(prec=_RANGE_DIGITS, rounding=rounding).create_decimal(Decimal(end)))
        for end, rounding in zip(pair, roundings, strict=True)
    ]


def _stored_covariate(covariate: Covariate, network: "Network") -> JsonObject:
    """Return a column that is known ahead; its categories of fewer than five training windows are hashed."""
    stored: JsonObject = {"name": covariate.name, "role": covariate.role}
    if covariate.number_format:
        stored["writing"] = covariate.number_format
    if not covariate.categories:
        return stored
    about = network.about
    rows = covariate_rows(
        covariate.name, covariate.categories, about.get("statistics") or {}, about["data"]
    )
    codes = {value: code for code, value in enumerate(covariate.categories, start=1)}
    known = {value: code for value, code in codes.items() if rows[code - 1] >= FEWEST}
    return stored | {"categories": _hidden(codes, known) | {"count": len(codes)}}


def _series_of_promise(promise: Step | None) -> list[str]:
    """Return the names of the series whose errors differ from those of the others."""
    if promise is None:
        return []
    parts = promise.learned.get("pairs") or [promise.learned]
    return [name for part in parts for name in (part.get("scale") or {}).get("series", ())]


def _mean(step: Step | None) -> JsonObject | None:
    """Return what means beside quantiles are made from; None without them."""
    if step is None or not step.learned["means"]:
        return None
    learned = step.learned
    return dict(
        below=learned["below"], above=learned["above"], neverNegative=learned["never_negative"]
    )


def _stored_category(column: LearnedColumn, counts: Sequence[int] | None) -> JsonObject:
    """Return a category column: rare categories, or all if their numbers are not known, are hashed with a salt."""
    named = [
        code
        for code in range(1, len(column["values"]) + 1)
        if counts is not None and code < len(counts) and counts[code] >= FEWEST
    ]
    known = {column["values"][code - 1]: code for code in named}
    return _hidden(codes_of(column["values"]), known) | dict(
        kind=column["kind"], name=column["name"], words=sorted(missing_value_categories(column))
    )


def _hidden(code_of: Mapping[str, int], known: Mapping[str, int]) -> JsonObject:
    """Return words and their codes; those without a known spelling as hashes with a salt.

    Args:
        code_of: every spelling -> its code.
        known: spelling that may be read -> its code.
    """
    readable = set(known.values())
    salt = secrets.token_hex(16)
    words = sorted((code, word) for word, code in code_of.items() if code not in readable)
    codes = [code for code, _ in words]
    hashes = [hashlib.sha256(f"{salt}{word}".encode()).digest()[:_HASH_BYTES] for _, word in words]
    is_counted = codes == list(range(codes[0], codes[0] + len(codes))) if codes else True
    return dict(
        values=list(known),
        codes=list(known.values()),
        spellings=[
            [word, code] for word, code in code_of.items() if code in readable and word not in known
        ],
        hashed=dict(
            salt=salt,
            hashes=base64.b64encode(b"".join(hashes)).decode(),
            first=codes[0] if codes else 0,
            codes=None if is_counted else codes,  # None: from `first` on, in steps of 1
        ),
    )


# Promises


def _promises(
    step: Step | None, solved: Problem, network: "Network", names: Sequence[str]
) -> dict[str, JsonObject]:
    """Return level -> what sets or intervals at this level need, and their promise; {} without the step."""
    if step is None:
        return {}
    return {f"{level:g}": _promise(step, solved, network, names, level) for level in _LEVELS}


def _promise(
    step: Step, solved: Problem, network: "Network", names: Sequence[str], level: float
) -> JsonObject:
    learned = step.learned
    options = PredictionOptions(confidence=level)
    row = _any_row(learned, network, names)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            promised = conformal.answered(
                learned, step.rows, row, options, ordered=solved.ordered
            ).promise
        except KzooError as error:
            return {"error": str(error)}
    stored: JsonObject = {"text": promised, "notes": [str(note.message) for note in notes]}
    if learned["of"] == "classes":
        return stored | {"limit": _rounded_up(score_at(learned["lac"], level))}
    _, _, pair = conformal.ends(learned, row, level)
    part = learned if pair is None else pair
    if solved.ordered:
        return stored | _widths_of_steps(learned, part, level, network)
    widths = cell_scores_at(part["scores"], level)[0]
    stored["widths"] = [_rounded_up(float(width)) for width in widths]
    if pair is None:
        stored["spreads"] = list(learned["spread"])
    else:
        stored |= {"low": pair["low"], "high": pair["high"]}
    return stored | ({"lowest": learned["lowest"]} if "lowest" in learned else {})


def _widths_of_steps(
    learned: Mapping[str, Any], part: Mapping[str, Any], level: float, network: "Network"
) -> JsonObject:
    """Return half-widths of a band by step and target, and the factors or summands of series that have their own."""
    widths = cell_scores_at(part["scores"], level)
    stored: JsonObject = {
        "widths": [[_rounded_up(float(width)) for width in row] for row in widths]
    }
    if (scale := part.get("scale")) is not None:
        ids = (network.preprocessing or {}).get("ids") or ()
        promise = Postprocessor.read(network.postprocessing).step(conformal.NAME)
        names = dict.fromkeys([*ids, *_series_of_promise(promise)])
        codes = {name: code for code, name in enumerate(names, start=1)}
        own = {str(codes[name]): numbers for name, numbers in scale["series"].items()}
        stored |= {"rule": scale["rule"], "own": own}
    if "low" in part:
        stored |= {"low": part["low"], "high": part["high"]}
    return stored | ({"lowest": learned["lowest"]} if "lowest" in learned else {})


def _any_row(learned: Mapping[str, Any], network: "Network", names: Sequence[str]) -> Predictions:
    """Return a prediction of zeros, from which sentences are made."""
    if learned["of"] == "classes":
        p = np.full((1, len(names)), 1 / len(names), np.float32)
        return Predictions(labels=[names[0]], probabilities=p, class_names=names, inputs=[0])
    shape = tuple(network.model.outputs[0].shape[1:])
    count = 1
    if (
        len(shape) > 1
    ):  # two series: the band of one may also follow the errors before it, which the page does not read
        count = 2
    row = Predictions(values=np.zeros((count, *shape), np.float32), inputs=range(count))
    levels = learned.get("levels") or ()
    targets = shape[-1] // max(len(levels), 1)
    if len(shape) > 1:
        row = replace(row, error_scale=np.ones((count, targets)))
    if learned["of"] == "values":
        return row
    zeros = np.zeros((count, *shape[:-1], targets, len(levels)), np.float32)
    return replace(row, values=None, quantiles=zeros, levels=levels)


def _rounded_up(number: float) -> float:
    """Return a score rounded up to seven digits, which makes a set larger, never smaller."""
    if not np.isfinite(number):
        return number
    context = Context(prec=_SCORE_DIGITS, rounding=ROUND_CEILING)
    return float(context.create_decimal(Decimal(number)))


# Facts that the page shows


def page_facts(network: "Network", stored: JsonObject) -> JsonObject:
    """Return what the page shows of a model, as the server's page gets it."""
    about, spec = network.about, network.spec
    data = about["data"]
    reader = network.preprocessing
    is_raw = reader is not None and not takes_ready_arrays(reader)
    facts = kind(network.input_name).facts
    form = _form(reader, stored["reader"], about["statistics"]) if is_raw else {}
    return dict(
        name=network.name,
        created=time.strftime("%Y-%m-%d"),
        task=spec.get("task"),
        parameters=network.core.count_params(),
        versions=[],
        input=dict(
            name=network.input_name,
            shape=[None, *stored["shape"]],
            facts=sorted(facts),
            raw=is_raw,
            form=form,
        ),
        answer=dict(
            kind=network.output_name,
            classes=stored["classes"],
            targets=stored["targets"],
            horizon=stored["horizon"],
            continues=False,
            confidence=bool(stored["promises"]),
        ),
        explains=stored["reader"].get("typical") is not None,
        trained_on=trained_on(data),
        score=score_facts(spec, about["metrics"], about["baselines"]),
        author=about["author"],
        limits={
            into: limits(spec, data, about["metrics"], stored["classes"], into)
            for into in LANGUAGES
        },
        origin=about["origin"],
        example=_example(network, reader, stored["reader"], form),
    )


def _form(reader: Any, stored: JsonObject, statistics: Mapping[str, Any]) -> JsonObject:
    """Return the form of the preprocessor; of a table, without rare categories, and with the ranges of sliders."""
    inference = kind_of(reader).inference
    typical = stored.get("typical")
    described: JsonObject = inference.form(reader, typical) if typical else inference.form(reader)
    columns = {column["name"]: column for column in stored.get("columns", ())}
    ranges = {feature["name"]: feature["edges"] for feature in statistics.get("features", ())}
    if "covariates" in described:  # without their categories
        described["covariates"] = [
            {name: covariate[name] for name in ("name", "role")}
            for covariate in described["covariates"]
        ]
    for field in described["columns"] if columns else ():
        if field["kind"] == "category":
            names = columns[field["name"]]["values"]
            field |= dict(
                values=names,
                default=field["default"] if field["default"] in names else next(iter(names), None),
                others=bool(columns[field["name"]]["hashed"]["hashes"]),
            )
        elif field["kind"] == "number" and (edges := ranges.get(field["name"])):
            # from the first decile to the last, roughly: they are cells of rows
            low, high = (float(f"{edge:.{_SLIDER_DIGITS}g}") for edge in (edges[0], edges[-1]))
            field |= {"slider": [low, high]} if low < high else {}
    return described


def _example(network: "Network", reader: Any, stored: JsonObject, form: JsonObject) -> Any:
    """Return a row of medians and most frequent categories; of series and small arrays, a drawn golden input."""
    with np.load(Path(network.folder) / "golden.npz") as golden:
        x = golden["x_1"][0]
    if "forecasts" in stored:
        return _series_example(reader, x, stored["forecasts"], network.about.get("statistics"))
    if "series" in stored:
        time = stored["series"]["time"]
        rows = kind_of(reader).inference.example(reader, x)
        times = _example_times(stored["series"]["times"], len(rows))
        return [
            ({} if time is None else {time: step})
            | {name: round(value, _EXAMPLE_DIGITS) for name, value in row.items()}
            for step, row in zip(times, rows, strict=True)
        ]
    if "columns" not in stored:
        return x.tolist() if x.size <= _MOST_NUMBERS and reader is None else None
    row = kind_of(reader).inference.example(reader, x)
    defaults = {
        field["name"]: field["default"] for field in form["columns"] if field["kind"] == "category"
    }
    return dict(row) | defaults


def _example_times(time_format: str, count: int) -> list[Any]:
    """Return the times of the steps of a labelled series: numbers, days, or months where days have no digits."""
    if time_format == NUMBERS:
        return list(range(count))
    step = "months" if time_format == "YYYYMM" else "days"
    start = np.array(["2023-12-31"], "M8[us]")
    calendar = Calendar(column="", step=step, every=1.0)
    return as_written(calendar.next_times(Moments(start, start), count), time_format)


def _series_example(
    reader: Any, x: np.ndarray, stored: JsonObject, statistics: Mapping[str, Any] | None
) -> Any:
    """Return the rows of a drawn series; those of one series have times where the training had."""
    rows = kind_of(reader).inference.example(reader, x)
    edges = {
        feature["name"]: feature["edges"] for feature in (statistics or {}).get("features", ())
    }
    for row in rows:
        row |= {
            name: round(cell, _EXAMPLE_DIGITS)
            for name, cell in row.items()
            if isinstance(cell, float)
        }
        row |= {
            covariate["name"]: _example_cell(row[covariate["name"]], covariate, edges)
            for covariate in stored["covariates"]
        }
    calendar, time = Calendar.of(reader), reader.get("time")
    if stored["ids"] or calendar is None or time is None:
        return rows
    start = np.array(["2023-12-31"], "M8[us]") if calendar.step != "numbers" else np.zeros(1)
    times = calendar.next_times(Moments(start, start), len(rows))
    plain = [t.replace(tzinfo=None) if hasattr(t, "tzinfo") else t for t in times]
    written = as_written(plain, reader.get("times"))
    return [{time: cell} | row for cell, row in zip(written, rows, strict=True)]


def _example_cell(cell: Any, covariate: JsonObject, edges: Mapping[str, Sequence[float]]) -> Any:
    """Return a drawn cell of a known column as the column has them: frequent categories, or whole numbers."""
    if "categories" in covariate:
        frequent = covariate["categories"]["values"]
        return cell if cell in frequent else next(iter(frequent), "other")
    own = edges.get(covariate["name"])
    if cell is None or own is None or any(edge % 1 for edge in own):
        return cell
    return int(min(max(round(cell), own[0]), own[-1]))
