"""The target of a table: which rows have one, how it writes its numbers, and what it is for."""

import numpy as np

from kzoo.kinds.rows.columns import number_format_of, stored_number_format
from kzoo.sources.tables.raw import MOST
from kzoo.sources.tables.values import plain, to_numbers, to_words
from kzoo.tasks import detection
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown

_MOSTLY = 0.95  # share of a target's texts that must be numbers for the rest to be mistakes


def with_target(frame, targets, notes, what):
    keep = frame[targets].notna().all(axis=1)
    if not keep.any():
        raise KzooError(is_empty(targets[0], what))
    if dropped := int((~keep).sum()):
        notes.append(without_target(dropped, what))
    return frame if keep.all() else frame[keep].reset_index(drop=True)


def is_empty(target, what) -> str:
    """Say that no row has a target: "row" or "test row"."""
    return f"The target column {target!r}{' of the test table' if what == 'test row' else ''} is empty."


def without_target(count, what) -> str:
    """Say that rows were left out: "row" or "test row"."""
    return f"{plural(count, what)} without a target {'was' if count == 1 else 'were'} left out."


def groups_in(values, name):
    if values.isna().any():
        raise KzooError(f"group={name!r} is missing in {values.isna().sum()} rows; fill it in or leave group= out.")
    return to_words(values).astype(str)


def read_targets(frame, targets, said, task, doubts, decimal, *, different=False, figures=()):
    """Turn texts of targets that are numbers in figures, such as "1.234,50 €", into numbers.

    Args:
        frame: the table; of one target alone, its `different` cells where that is said.
        figures: names of columns that a file's reader would have taken for numbers, could they be read in one way only.

    Returns:
        (the table, name -> how such a target writes its numbers).

    Raises:
        KzooError: a target that the user calls a number, and a row is none.
    """
    writings = {}
    for name in targets:
        wanted, asked = plain(frame[name]), said.get(name, {}).get("kind")
        if asked == "date":
            raise KzooError(f"columns: {name!r} is the target, which is a number or a category, and no date.")
        found = []
        writing = None if asked == "category" else number_format_of(name, wanted, said.get(name), found, decimal)
        if writing is None and (stored := stored_number_format(None, decimal)) and wanted.dtype != object:
            writings[name] = stored
        if writing is None or (asked is None and name not in figures and np.isfinite(to_numbers(wanted)).all()):
            continue  # plain figures in quotation marks are names
        numbers = to_numbers(wanted, writing)
        share = np.isfinite(numbers).mean()
        if share < 1 and (asked == "number" or share >= _MOSTLY):
            bad = np.flatnonzero(np.isnan(numbers))
            what, where = ("different values", "") if different else ("rows", f"row {bad[0] + 1}: ")
            raise KzooError(
                f"Target {name!r} holds numbers, but for {len(bad)} of {len(numbers)} {what}, such as {where}"
                f"{shown(frame[name].iloc[bad[0]])}. Mend them or leave them out; if they are names of classes, "
                f"say columns={{{name!r}: 'category'}}."
            )
        # "10%" and "20%" are names of classes, unless somebody says otherwise.
        meant = (
            detection.requested_problem("rows", task)
            if task is not None
            else detection.likely_problem("rows", [numbers])[0]
        )
        if share == 1 and (asked or meant is None or "classes" not in meant.facts):
            frame, writings[name] = frame.assign(**{name: numbers}), writing.json()
            doubts += found
    return frame, writings


def choose_task(values, task, preset):
    """Decide what a target is for; return the problem, and a sentence that says why.

    Args:
        values: name -> column, of the targets.
        task: what the user says it is, or None.
        preset: what the data is for, or None.

    Raises:
        KzooError: the target does not suit the task asked for, or (`choose.WrongPreset`) the preset.
    """
    columns = list(values.values())
    (found, why), fixed = detection.likely_problem("rows", columns), detection.fixed_by(preset)
    if len(values) > 1 and task is None:
        why += _classes_among(values)
    if task is not None:
        found, why = detection.requested_problem("rows", task), f"task={task!r}"
        if fixed not in (None, found):
            raise detection.WrongPreset(
                f"task={task!r} does not suit {preset.name}, a {fixed.name} preset.", "These take any: {}."
            )
    elif fixed not in (None, found):
        if not detection.suits_problem(fixed, columns):
            raise detection.WrongPreset(
                f"Target {next(iter(values))!r} makes this a {found.name} ({why}), but {preset.name} is for "
                f"{fixed.name}.",
                "Use one of: {}; or say task=.",
            )
        found, why = fixed, f"{preset.name} is for {fixed.name}"
    if "classes" in found.facts and len(values) > 1:
        raise KzooError(f"A classification has one target column; got {listed(values, MOST)}.")
    override = "" if task is not None else "; task= overrides"
    return found, f"{found.name.replace('_', ' ').capitalize()} of {listed(values, MOST)}: {why}{override}."


def _classes_among(values):
    """Return what to add to "there are several targets" where some of them alone would be classes.

    Raises:
        KzooError: all of them are labels: a regression would answer with numbers that are no probabilities.
    """
    names = list(values)
    places, labels = detection.would_be_classes("rows", list(values.values()))
    if labels:
        _, why = detection.likely_problem("rows", [values[names[0]]])
        raise KzooError(
            f"The targets {listed(map(repr, names), MOST)} are labels ({names[0]!r}: {why}), and several labels to a "
            f"row are not supported yet. Predict one of them, target={names[0]!r}, and leave the others out with "
            "drop=; or say task='regression' where they are numbers to predict."
        )
    alone = listed((repr(names[place]) for place in places), MOST)
    return f" (alone, {alone} would be classes; as numbers they have no probabilities)" if places else ""
