"""`find_wrong_labels`: labels of a data set that a model of the other rows contradicts, as a table for a person."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.load import load
from kzoo.data.options import DataOptions
from kzoo.data.reload import load_again
from kzoo.data.targets.repairs import COLUMNS, HAS, LACKS, refuse_unrepairable, row_keys
from kzoo.evaluation.confident_learning import (
    combined,
    fit_opinions,
    neighbour_shares,
    noise_counts,
    normalized_margin,
    self_confidence,
    suspected,
)
from kzoo.evaluation.cross_validate import cross_validate
from kzoo.problems.kinds import kind
from kzoo.problems.stored_types import Overrides
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, write_json, write_text
from kzoo.utils.formatting import csv_cell, cut, percent, plural
from kzoo.zoo.registry.preset import Preset
from kzoo.zoo.run import Run

NEIGHBOURS = 10
_BATCH = 256
_MAX_FEATURES = 4096  # numbers per row in which neighbours are searched
_SHOWN = 300  # rows of the page
_PREVIEW = 200  # characters of a row in the table
# Options of data that have no effect on it: each row is tested once, and folds are drawn by the seed of the training.
_WITHOUT_EFFECT = (
    "test",
    "time",
    "split",
    "data_seed",
    "clip",
    "quantiles",
    "calibration",
    "repairs",
)


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A label that is probably wrong.

    Args:
        row: number of the row among the usable rows of the source, from 1.
        key: hash of its content, by which `repairs=` recognises it.
        label: the recorded label; of several labels a row, `NAME=1` or `NAME=0`.
        suggestion: the label that the models and the neighbours suggest.
        rank: 1 for the row whose label is contradicted most, by networks and neighbours together. It is no probability:
            how many suspects are wrong depends on the share of wrong labels and on how hard the rows are.
        why: the evidence, in words.
        input: the row as text, shortened; empty for images.
        cells: the row for the page: a data URL of an image, or cells.
    """

    row: int
    key: str
    label: str
    suggestion: str
    rank: int
    why: str
    input: str
    cells: Any = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class WrongLabels:
    """The result of a search for wrong labels.

    Args:
        suspects: those whose label is contradicted most first.
        rows: number of rows that were judged.
        noise: estimated share of wrong labels, by confident learning; larger than the share of suspects, because not
            every wrong label can be recognised.
        path: the table of suspects, `suspects.csv`.
        page: the same as a page with pictures or rows, `suspects.html`.
        ranking: (N,) row numbers from 1 of all rows, those whose label is least probable first.
        order, labels, probabilities: (N,) row numbers from 1, with the recorded labels as the task encodes them and the
            mean probabilities of the networks that were not trained on the row.
    """

    suspects: list[Suspect]
    rows: int
    noise: float
    path: Path
    page: Path
    ranking: np.ndarray = field(repr=False)
    order: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        share = percent(len(self.suspects) / max(self.rows, 1))
        return f"<WrongLabels: {plural(len(self.suspects), 'suspect')} of {plural(self.rows, 'row')} ({share})>"

    def json(self) -> JsonObject:
        """Return plain data, without the ranking."""
        suspects = [
            {name: value for name, value in asdict(suspect).items() if name != "cells"}
            for suspect in self.suspects
        ]
        return dict(
            suspects=suspects,
            rows=self.rows,
            noise=self.noise,
            path=os.fspath(self.path),
            page=os.fspath(self.page),
        )


def find_wrong_labels(
    preset: Preset,
    source: "Loadable | None",
    options: DataOptions,
    overrides: Overrides,
    *,
    folds: int = 5,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    parallel: int = 1,
    progress: bool = True,
) -> WrongLabels:
    """Find labels that networks trained on the other rows contradict.

    Each fold is judged by a network that has neither trained nor stopped on its rows: validation rows are taken from
    the others, and rows of a group are in one fold. The suspects of confident learning are then trained on with the
    suggested label, and all rows judged again, by the same folds: networks that have learned fewer wrong labels
    recognise more of them. The probabilities of both rounds are averaged. The neighbours of a row within its fold, in
    the inputs of the network's last layer, are a second opinion, which counts as much as it helps to predict labels.

    Args:
        preset: a `Preset`.
        source: anything `kzoo.cross_validate` takes.
        options: how it is read.
        overrides: settings of the training.
        folds: number of folds.
        seed: of the folds and the training.
        out: the folder; the default is `runs/wrong-labels-PRESET`. The same call continues where it was stopped.
        parallel: number of folds trained at once.
        progress: print a line for each fold.

    Raises:
        KzooError: data without classes or labels, an option that has no effect, or anything that `kzoo.cross_validate`
            refuses.
    """
    given = options.given()
    if options.series_id is not None:
        raise KzooError(
            "is not available with wrong_labels, which judges rows. For labelled "
            "series, pass arrays (x, y).",
            argument="series_id",
            value=options.series_id,
        )
    for name in _WITHOUT_EFFECT:
        if name in given:
            raise KzooError(
                "has no effect on wrong_labels, which judges each row by a fold that it "
                "is not in. Omit it.",
                argument=name,
                value=given[name],
            )
    source = preset.dataset if source is None else source
    refuse_unrepairable(load(source, preset, options), "wrong_labels=")
    folder = Path(out or f"runs/wrong-labels-{preset.name}")
    arguments: dict[str, Any] = dict(
        folds=folds, seed=seed, parallel=parallel, progress=progress, **given
    )
    arguments |= {"baselines": False, "check": False} | dict(overrides)
    first = _judge(preset, source, folder / "round-1", arguments)
    judged = first
    repairs = _provisional_repairs(first)
    if repairs:
        judged = _judge(preset, source, folder / "round-2", arguments | {"repairs": repairs})
        judged.average(first)
    for part in judged.parts:
        part["features"] = _features(Run(part["run"]), part["split"], part["order"])
    result = _result(judged, folder)
    _write(result, judged, folder)
    return result


def _judge(
    preset: Preset, source: "Loadable | None", folder: Path, arguments: JsonObject
) -> "_Judged":
    """Return all rows, judged by the networks of the other folds."""
    scores = cross_validate(preset, source, out=folder, **arguments)
    return _Judged(map(Run, scores["runs"]), source)


def _provisional_repairs(judged: "_Judged") -> list[dict[str, Any]]:
    """Return the suspects of the first round as repairs; of each label, at most half of its rows."""
    repairs = []
    for question in judged.questions():
        rows = np.flatnonzero(question.labels >= 0)
        own, probabilities = question.labels[rows], question.probabilities[rows]
        chosen = suspected(probabilities, own)
        margins = normalized_margin(probabilities, own)
        for label in np.unique(own):
            positions = np.flatnonzero(chosen & (own == label))
            most = int((own == label).sum()) // 2
            for position in positions[np.argsort(margins[positions], kind="stable")[:most]]:
                part, place = judged.place(int(rows[position]))
                repairs.append(
                    dict(
                        row=int(part["split"].rows[place]) + 1,
                        key=row_keys(part["split"], [place])[0],
                        label=question.names[label],
                        suggestion=question.names[int(probabilities[position].argmax())],
                        accept="yes",
                    )
                )
    return repairs


class _Judged:
    """What is known about all rows after a round: the outputs of the networks, and where each row is.

    Args:
        runs: the runs of the folds.
        source: of the data.
    """

    def __init__(self, runs: Iterable[Run], source: "Loadable | None") -> None:
        self.parts: list[dict[str, Any]] = []
        for run in runs:
            data = load_again(run.spec, run.data, source)
            stored = run.answers
            if stored is None or run.config.get("answers") == "scores":
                raise KzooError(
                    "needs probabilities, and the outputs of this network are other scores.",
                    argument="wrong_labels",
                )
            split: Any = data.test
            order = np.asarray(stored["rows"])
            part = dict(data=data, split=split, order=order, run=run.path, features=None)
            part |= dict(rows=np.asarray(split.rows)[order] + 1, labels=np.asarray(split.y)[order])
            part |= dict(answers=np.asarray(stored["answers"], np.float64))
            self.parts.append(part)
        self.data: Dataset = self.parts[0]["data"]

    def average(self, other: "_Judged") -> None:
        """Average the outputs with those of another round, which has the same folds."""
        for part, first in zip(self.parts, other.parts, strict=True):
            part["answers"] = (part["answers"] + first["answers"]) / 2

    def questions(self) -> list["_Question"]:
        """Return the decisions that each row has: one among all classes, or one for each label."""
        labels, answers = self.joined("labels"), self.joined("answers")
        if self.data.problem.classes_of(labels) is not None:
            return [_Question(self.data.class_names, labels.astype(int), answers)]
        return [
            _Question(
                (f"{name}{LACKS}", f"{name}{HAS}"),
                np.nan_to_num(labels[:, column], nan=-1).astype(int),
                np.stack([1 - answers[:, column], answers[:, column]], axis=1),
            )
            for column, name in enumerate(self.data.class_names)
        ]

    def joined(self, name: str) -> np.ndarray:
        """Return an array of all rows, fold by fold."""
        return np.concatenate([part[name] for part in self.parts])

    def shares(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Return the share of each class among the neighbours of each row in its fold (N, classes)."""
        start = 0
        shares = []
        for part in self.parts:
            own = labels[start : start + len(part["rows"])]
            start += len(own)
            present = own >= 0
            share = np.zeros((len(own), classes))
            if part["features"] is not None and present.sum() > 1:
                share[present] = neighbour_shares(
                    part["features"][present], own[present], classes, k=NEIGHBOURS
                )
            shares.append(share)
        return np.concatenate(shares)

    def place(self, index: int) -> tuple[dict[str, Any], int]:
        """Return the fold of a row, and its position in the split of the fold."""
        for part in self.parts:
            if index < len(part["rows"]):
                return part, int(part["order"][index])
            index -= len(part["rows"])
        raise IndexError(index)


def _features(run: Run, split: Split, order: np.ndarray) -> np.ndarray | None:
    """Return the inputs of the network's last layer with weights (N, F), or the encoded rows if it has no other.

    The rows of a fold have not been trained on, so that a network that learned wrong labels by heart does not separate
    them.

    Returns:
        None if they are token ids, whose differences mean nothing, or very long.
    """
    model = run.model
    inputs = kind(run.data.inputs)
    layers = [layer for layer in getattr(model, "layers", ()) if layer.weights]
    try:
        tensor = layers[-1].input
        inner = None if tensor is model.input else keras.Model(model.input, tensor)
    except (
        AttributeError,
        IndexError,
        ValueError,
    ):  # a subclassed model, or a layer that is used twice
        tensor = inner = None
    if inner is None and ("int" in inputs.dtype or int(np.prod(split.x.shape[1:])) > _MAX_FEATURES):
        return None
    if inner is not None and (isinstance(tensor, list) or "int" in str(tensor.dtype)):
        return None
    parts = []
    for start in range(0, len(order), _BATCH):
        x = np.asarray(split.x[order[start : start + _BATCH]]).astype(inputs.dtype)
        outputs = x if inner is None else keras.ops.convert_to_numpy(inner(x, training=False))
        parts.append(np.asarray(outputs, np.float32).reshape(len(x), -1))
    keras.utils.clear_session(free_memory=True)
    features = np.concatenate(parts)
    return features if np.isfinite(features).all() and features.shape[1] <= _MAX_FEATURES else None


def _result(judged: _Judged, folder: Path) -> WrongLabels:
    """Return the suspects of all rows."""
    numbers = judged.joined("rows")
    has_features = all(part["features"] is not None for part in judged.parts)
    scored = []
    confidence = np.full(len(numbers), np.inf)
    wrong = known = 0.0
    for question in judged.questions():
        rows = np.flatnonzero(question.labels >= 0)
        own, probabilities = question.labels[rows], question.probabilities[rows]
        if len(np.unique(own)) < 2:
            continue
        shares = judged.shares(question.labels, len(question.names))[rows] if has_features else None
        temperature, weight = fit_opinions(probabilities, shares, own, k=NEIGHBOURS)
        both = combined(
            probabilities, shares, own, k=NEIGHBOURS, temperature=temperature, weight=weight
        )
        shares = shares if weight else None  # neighbours that tell nothing are not quoted
        counts = noise_counts(probabilities, own)
        wrong = wrong + counts.sum() - np.trace(counts)
        known = known + len(own)
        # Rows are ranked without the temperature, which differs little between rows that are wrong and hard.
        ranked = combined(probabilities, shares, own, k=NEIGHBOURS, weight=weight)
        confidence[rows] = np.minimum(confidence[rows], self_confidence(ranked, own))
        for position in np.flatnonzero(
            suspected(probabilities, own) & (both.argmax(axis=1) != own)
        ):
            opinions = (
                both[position],
                probabilities[position],
                None if shares is None else shares[position],
            )
            suspect = _suspect(
                judged, question.names, int(rows[position]), int(own[position]), *opinions
            )
            scored.append((-float(both[position].max()), suspect.row, suspect))
    suspects = [
        replace(suspect, rank=rank)
        for rank, (*_, suspect) in enumerate(sorted(scored, key=lambda each: each[:2]), 1)
    ]
    return WrongLabels(
        suspects=suspects,
        rows=len(numbers),
        noise=float(wrong / max(known, 1)),
        path=folder / "suspects.csv",
        page=folder / "suspects.html",
        ranking=numbers[np.argsort(confidence, kind="stable")],
        probabilities=judged.joined("answers"),
        labels=judged.joined("labels"),
        order=numbers,
    )


@dataclass(frozen=True)
class _Question:
    """What one decision among classes is about: the names of the classes, the labels (-1 if unknown), probabilities."""

    names: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray


def _suspect(
    judged: _Judged,
    names: Sequence[str],
    index: int,
    label: int,
    both: np.ndarray,
    probabilities: np.ndarray,
    shares: np.ndarray | None,
) -> Suspect:
    part, position = judged.place(int(index))
    best = int(both.argmax())
    why = f"networks trained on the other rows: {names[best]} {percent(probabilities[best])}, {names[label]} "
    why += percent(probabilities[label])
    if shares is not None:
        near = [f"{round(NEIGHBOURS * shares[number])} {names[number]}" for number in (best, label)]
        why += f"; of {NEIGHBOURS} similar rows, {near[0]} and {near[1]}"
    cells, text = _shown_row(part["data"], part["split"], position)
    return Suspect(
        row=int(part["split"].rows[position]) + 1,
        key=row_keys(part["split"], [position])[0],
        label=names[label],
        suggestion=names[best],
        rank=0,
        why=why,
        input=text,
        cells=cells,
    )


def _shown_row(data: Dataset, split: Split, position: int) -> tuple[Any, str]:
    """Return a row as the report shows it, and as text."""
    if split.texts is not None:
        text = " ".join(str(split.texts[position]).split())
        return [text], cut(text, _PREVIEW)
    x = np.asarray(split.x[np.array([position])])
    view = kind(data.inputs).inference.show(data.preprocessing, x, data.feature_names)
    if view is None:
        return (), ""
    if isinstance(view.cells[0], str):  # the data URL of a picture
        return view.cells[0], ""
    cells = [str(cell) for cell in view.cells[0]]
    if len(view.heads) > 1:
        return cells, cut(
            ", ".join(f"{name}={cell}" for name, cell in zip(view.heads, cells, strict=True)),
            _PREVIEW,
        )
    return cells, cut(" ".join(cells), _PREVIEW)


def _write(result: WrongLabels, judged: _Judged, folder: Path) -> None:
    """Write the table, the page and a summary."""
    names = ("row", "key", "label", "suggestion", "rank", "accept", "why", "input")
    assert set(COLUMNS) <= set(names)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for suspect in result.suspects:
        cells = asdict(suspect) | {"accept": ""}
        writer.writerow([csv_cell(cells[name]) for name in names])
    write_text(result.path, text.getvalue(), sync=False)
    write_json(
        folder / "wrong_labels.json",
        finite({k: v for k, v in result.json().items() if k != "suspects"}),
    )
    write_text(result.page, _page(result, judged.data), sync=False)


def _page(result: WrongLabels, data: Dataset) -> str:
    """Return the page of the suspects, by rank."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("kzoo", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    first = np.asarray(data.train.x[np.arange(1)])
    view = kind(data.inputs).inference.show(data.preprocessing, first, data.feature_names)
    return environment.get_template("suspects.html.j2").render(
        title=f"Labels of {data.name} that look wrong",
        form="" if view is None else view.form,
        heads=["text"] if data.train.texts is not None else [] if view is None else view.heads,
        suspects=result.suspects[:_SHOWN],
        hidden=max(0, len(result.suspects) - _SHOWN),
        rows=f"{result.rows:,}",
        share=percent(len(result.suspects) / max(result.rows, 1)),
        noise=percent(result.noise),
        count=plural(len(result.suspects), "label"),
    )
