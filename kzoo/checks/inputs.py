"""Checks of the inputs: NaN, columns and images without content, pixels and numbers out of range."""

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.subject import class_name, column_names, read, values_of
from kzoo.utils.formatting import listed

_MOST_VALUES = 50_000_000  # numbers of a split that are searched for NaN
_BLANK = 0.01  # share of the images
_UNREAD = 0.001  # share of the rows
_LARGE, _SMALL_PIXELS = 50.0, 0.02


@check("data", "rows")
def not_finite(subject):
    """NaN or infinite numbers in inputs or targets."""
    for split, part in subject.splits.items():
        for what, values in (("x", values_of(part.x)), ("y", values_of(part.y))):
            if values is None or values.dtype.kind != "f" or not values.size:
                continue
            values = values[: max(1, _MOST_VALUES * len(values) // values.size)]
            if np.isfinite(np.sum(values, dtype="float64")):  # one pass without a copy
                continue
            bad = ~np.isfinite(values.reshape(len(values), -1))
            rows, columns = np.nonzero(bad)
            name = ""
            if what == "x" and values.ndim == 2:
                name = f", {column_names(subject.data.feature_names, values.shape[1])[columns[0]]!r}"
            yield error(
                f"{len(rows)} values of {what} are NaN or infinite",
                where=f"{split} {what}, row {rows[0]}{name}",
                why="One of them makes the loss NaN, and then every weight.",
                fix="Fill them in or leave their rows out; as a table (CSV, DataFrame) kzoo fills in inputs itself.",
            )


@check("data", "rows")
def constant_columns(subject):
    """Columns with one value in every training row."""
    if subject.columns is None and subject.series is None:
        return
    if (values := values_of(subject.data.train.x)) is None:
        return
    values = values.reshape(-1, values.shape[-1])
    names = column_names(subject.data.feature_names, values.shape[1])
    constant = [i for i in range(values.shape[1]) if (values[:, i] == values[0, i]).all()]
    if constant:
        yield warning(
            f"{len(constant)} of {len(names)} columns have one value in every training row",
            where=f"train, {listed(repr(names[i]) for i in constant)}",
            why="They tell nothing, and a new value in them later gives an answer nobody has tested.",
            fix="Leave them out (drop=), or find out why nothing is in them.",
        )


@check("data", "rows")
def numbers_in_doubt(subject):
    """Numbers that can be read in two ways or have two units, and cells that could not be read."""
    for line in subject.data.seen.get("doubts", ()):
        what, _, fix = line.partition(" If that is wrong, ")
        yield warning(
            what.rstrip("."),
            where="the table",
            why="A hundred or a thousand times the value, or a part of it: the model learns either without a word.",
            fix=f"If that is wrong, {fix}",
        )
    for name, (count, row, rows) in subject.data.seen.get("unread", {}).items():
        if count >= _UNREAD * rows:
            yield warning(
                f"{count} of {rows} values of column {name!r} cannot be read and count as missing",
                where=f"row {row + 1}",
                why="The model takes each for the median, which is often far from what the cell says.",
                fix="Write them as the others are written; or say what the column is with columns=.",
            )


@check("data", "images")
def blank_images(subject):
    """Images of one colour."""
    rows, x = subject.sample
    flat = x.reshape(len(x), -1)
    blank = rows[flat.max(axis=1) == flat.min(axis=1)]
    if len(blank) > _BLANK * len(rows):
        labels = subject.labels["train"][blank] if subject.labels is not None else ()
        kinds = f", class {listed(class_name(subject.data, int(n)) for n in np.unique(labels))}" if len(labels) else ""
        yield warning(
            f"{len(blank)} of {len(rows)} images looked at are of one colour",
            where=f"train, rows {listed(blank)}{kinds}",
            why="There is nothing to see in them: failed downloads and black frames look like this.",
            fix="Remove them.",
        )


@check("network", "images", "probe")
def scaled_twice(subject):
    """Pixels that are divided by 255 before the network and once more inside."""
    if subject.probe.first is None:
        return
    layer, seen = subject.probe.first
    given, reached = float(np.abs(subject.batch[0]).max()), float(np.abs(seen).max())
    if 0 < reached < _SMALL_PIXELS and given <= 1.5:
        yield error(
            f"Pixels reach {given:.3g} as they are given and {reached:.2g} at the first layer: divided by 255 twice",
            where=f"train inputs, layer {layer!r}",
            why="Every image is all but black to the network, and nothing is learned.",
            fix="Give pixels 0..255, or leave the scaling out of the network (rescale=False).",
        )


@check("network", "probe")
def not_scaled(subject):
    """Raw pixels or large numbers that reach the first layer with weights as they are."""
    if subject.probe.first is None:
        return
    layer, seen = subject.probe.first
    size = np.sqrt(np.mean(np.square(seen.reshape(-1, seen.shape[-1]), dtype="float64"), axis=0))
    if not np.isfinite(size).all() or size.max() <= _LARGE:
        return
    if subject.images:
        what, fix = f"Pixels up to {seen.max():.0f}", "Begin the network with keras.layers.Rescaling(1 / 255)."
    else:
        names = subject.columns or ()
        at = int(size.argmax())
        name = f" in column {names[at]!r}" if len(names) == len(size) else ""
        what = f"Numbers of the size of {size.max():.3g}{name}"
        fix = "Standardise the columns: keras.layers.Rescaling with mean and deviation, or BatchNormalization first."
    yield warning(
        f"{what} reach the first layer with weights unscaled",
        where=f"layer {layer!r}",
        why="The first steps are far too large or one column outweighs all: training is slow or breaks.",
        fix=fix,
    )


@check("data", "targets", "model")
def targets_form(subject):
    """Targets of another shape than the answers, which NumPy's rules of broadcasting may hide."""
    shape = getattr(subject.model, "output_shape", None)
    if not isinstance(shape, tuple) or None in shape[1:]:
        return
    given, gives = np.shape(read(subject.data.train.y, np.arange(1)))[1:], shape[1:]
    if given not in (gives, gives[:-1] if gives[-1:] == (1,) else gives):
        yield error(
            f"The targets of a row have shape {given}, and the network answers {gives}",
            where="train y",
            why="Keras stops, or compares each number with each other one.",
            fix="Give the last layer as many units as there are targets.",
        )


@check("data", "targets", "rows")
def constant_targets(subject):
    """A target with one value in every training row."""
    values = np.asarray(subject.targets["train"], "float64")
    values = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    names = subject.data.target_names
    for column in range(values.shape[1]):
        if (values[:, column] == values[0, column]).all():
            name = names[column] if column < len(names) else f"target {column}"
            yield error(
                f"The target is {values[0, column]:g} in every training row",
                where=f"train y, {name!r}",
                why="There is nothing to learn.",
                fix="Choose another target, or other rows.",
            )


@check("network", "targets", "probe", "loss")
def target_scale(subject):
    """Targets so large or small that the network's first answers are nowhere near."""
    truth, answers = subject.batch[1], subject.probe.answers
    if subject.loss.labels != "values" or truth.size != answers.size:
        return
    size, now = (float(np.sqrt(np.mean(np.square(v, dtype="float64")))) for v in (truth, answers))
    if size > 30 and size > 10 * now:
        yield warning(
            f"Targets of the size of {size:.3g} meet first answers of the size of {now:.2g}",
            where="train y",
            why="The loss starts in the thousands and most of training goes into finding the mean.",
            fix="Train on (y - mean) / deviation and scale the answers back (a kzoo preset does it itself).",
        )


@check("data", "targets", "loss")
def targets_out_of_reach(subject):
    """Targets that the last activation cannot give."""
    ends = subject.reach
    if ends is None or subject.loss.labels != "values":
        return
    name, low, high = ends
    truth = np.asarray(read(subject.data.train.y, subject.some()), "float64")
    if subject.standardize is not None:
        truth = (truth - np.asarray(subject.standardize[0])) / np.asarray(subject.standardize[1])
    outside = (truth < low - 1e-6) | (truth > high + 1e-6)
    if outside.mean() > 0.001:
        yield error(
            f"{outside.mean():.1%} of the targets lie outside {low:g}..{high:g}, all that {name} can give",
            where=f"train y, from {truth.min():.4g} to {truth.max():.4g}",
            why="No training can reach them.",
            fix="Leave the last activation out, or scale the targets into its range.",
        )


@check("data", "rows", "unordered")
def one_row_again(subject):
    """Training rows that are nearly all copies of one another."""
    if subject.series:
        return
    _, x = subject.sample
    distinct = len({row.tobytes() for row in np.ascontiguousarray(x)})
    if len(x) >= 20 and distinct <= 0.05 * len(x):
        yield warning(
            f"{len(x)} rows looked at hold {distinct} different inputs",
            where="train x",
            why="Copies add nothing to learn from, and put the same rows into every split.",
            fix="Remove the copies; to weigh classes use class_weight='balanced'.",
        )
