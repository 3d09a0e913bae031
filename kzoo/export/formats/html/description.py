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
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.card import limits
from kzoo.inference.kinds.rows.inference import codes_of, missing_value_categories
from kzoo.inference.kinds.series.time_formats import NUMBERS
from kzoo.inference.kinds.text.tokenizer import LEVELS
from kzoo.inference.postprocessors import conformal
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


FEWEST = 5  # training rows of a category whose name is stored
_COUNTED = 100_000  # training rows among which categories were counted, see `kzoo.data.statistics`
_HASH_BYTES = 6
_LEVELS = (0.8, 0.9, 0.95, 0.99)  # that the page offers
_SCORE_DIGITS = 7
_MOST_NUMBERS = 1000  # of an example of arrays
_MOST_CHANNELS = 3  # of images
_EXAMPLE_DIGITS = 4  # after the point, of the steps of a series
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
    if others := [s.name for s in steps.steps if s.name not in (*STEPS, conformal.NAME)]:
        raise KzooError(
            f"the postprocessing step {others[0]!r} is not supported. Export to onnx, for kzoo serve"
        )
    names = _class_names(network, solved)
    facts = kind(network.input_name).facts
    if "steps" in facts and "ids" not in facts and not _is_of_series(network.preprocessing):
        raise KzooError(
            "models of series as arrays are not supported. Train on a table with series_id=, or export to onnx, for "
            "kzoo serve"
        )
    reader = network.preprocessing or array_preprocessor(network.input_name, _shape(network))
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
        reader=_stored_reader(reader, network.about.get("statistics") or {}, network.about["data"]),
        steps=[
            dict(name=step.name, learned=step.learned) for step in steps.steps if step.name in STEPS
        ],
        promises=_promises(steps.step(conformal.NAME), solved, network, names),
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
    counts = iter(_category_counts(statistics, data))
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
    """Return the preprocessor of labelled series, whose steps are numbered or in order of the rows."""
    time = reader.get("time")
    if time is not None and reader.get("times") != NUMBERS:
        raise KzooError(
            f"column {time!r} has dates as the times of series, which are not supported. Train with numbers of steps, "
            "or export to onnx, for kzoo serve"
        )
    return dict(
        columns=list(reader["columns"]),
        ids=list(reader["series_id"]),
        time=time,
        steps=reader["steps"],
        padded=bool(reader["padded"]),
        segment=reader.get("segment"),
        writings=dict(reader.get("writings") or {}),
    )


def _category_counts(
    statistics: Mapping[str, Any], data: Mapping[str, Any] | None
) -> list[list[int]]:
    """Return, of each category column, the number of training rows of each code; [] if it is not known."""
    rows = min((data or {}).get("train") or 0, _COUNTED)
    return [
        [round(share * rows) for share in column["shares"]]
        for column in statistics.get("categories", ())
    ]


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
    widths = cell_scores_at((learned if pair is None else pair)["scores"], level)[0]
    stored["widths"] = [_rounded_up(float(width)) for width in widths]
    if pair is None:
        stored["spreads"] = list(learned["spread"])
    else:
        stored |= {"low": pair["low"], "high": pair["high"]}
    return stored | ({"lowest": learned["lowest"]} if "lowest" in learned else {})


def _any_row(learned: Mapping[str, Any], network: "Network", names: Sequence[str]) -> Predictions:
    """Return a prediction of zeros, from which sentences are made."""
    if learned["of"] == "classes":
        p = np.full((1, len(names)), 1 / len(names), np.float32)
        return Predictions(labels=[names[0]], probabilities=p, class_names=names, inputs=[0])
    outputs = network.model.outputs[0].shape[-1]
    row = Predictions(values=np.zeros((1, outputs), np.float32), inputs=[0])
    if learned["of"] == "values":
        return row
    levels = learned["levels"]
    zeros = np.zeros((1, outputs // len(levels), len(levels)), np.float32)
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
            horizon=None,
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
    if "series" in stored:
        time = stored["series"]["time"]
        rows = kind_of(reader).inference.example(reader, x)
        return [
            ({} if time is None else {time: step})
            | {name: round(value, _EXAMPLE_DIGITS) for name, value in row.items()}
            for step, row in enumerate(rows)
        ]
    if "columns" not in stored:
        return x.tolist() if x.size <= _MOST_NUMBERS and reader is None else None
    row = kind_of(reader).inference.example(reader, x)
    defaults = {
        field["name"]: field["default"] for field in form["columns"] if field["kind"] == "category"
    }
    return dict(row) | defaults
