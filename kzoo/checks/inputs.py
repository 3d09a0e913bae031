"""Checks of inputs and targets: NaN, constant columns, blank images, pixels and numbers out of range."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.subject import class_name, column_names, read, values_of
from kzoo.problems.layout import text_columns
from kzoo.utils.formatting import listed, percent, plural

if TYPE_CHECKING:
    from kzoo.checks.finding import Finding
    from kzoo.checks.subject import Subject


_MOST_VALUES = 50_000_000  # numbers of a split searched for NaN
_BLANK = 0.01  # share of blank images
_UNREAD = 0.001  # share of rows with an unreadable cell
_LARGE, _SMALL_PIXELS = 50.0, 0.02


@check("data", "rows")
def not_finite(subject: "Subject") -> "Iterator[Finding]":
    """Find NaN or infinite numbers in inputs or targets."""
    for split, part in subject.splits.items():
        for axis_name, array in (("x", values_of(part.x)), ("y", values_of(part.y))):
            if array is None or array.dtype.kind != "f" or not array.size:
                continue
            if axis_name == "y" and subject.label_rows is not None:
                continue  # unknown labels
            array = array[: max(1, _MOST_VALUES * len(array) // array.size)]
            if np.isfinite(np.sum(array, dtype="float64")):  # one pass without a copy
                continue
            bad = ~np.isfinite(array.reshape(len(array), -1))
            rows, columns = np.nonzero(bad)
            name = ""
            if axis_name == "x" and array.ndim == 2:
                name = f", {column_names(subject.data.feature_names, array.shape[1])[columns[0]]!r}"
            yield error(
                f"{plural(len(rows), 'value')} of {axis_name} {'is' if len(rows) == 1 else 'are'} NaN or infinite",
                where=f"{split} {axis_name}, row {rows[0]}{name}",
                why="A single one makes the loss NaN, and then all weights.",
                fix="Impute them or remove their rows. kzoo imputes inputs of tables (CSV, DataFrame) itself.",
            )


@check("data", "rows")
def constant_columns(subject: "Subject") -> "Iterator[Finding]":
    """Find columns with a single value in all training rows."""
    if subject.columns is None and subject.series is None:
        return
    if (values := values_of(subject.data.train.x)) is None:
        return
    values = values.reshape(-1, values.shape[-1])
    # the last ids of texts may be padding
    values = values[:, : values.shape[1] - text_columns(subject.data.config)]
    names = column_names(subject.data.feature_names[: values.shape[1]], values.shape[1])
    constant = [i for i in range(values.shape[1]) if (values[:, i] == values[0, i]).all()]
    if constant:
        yield warning(
            f"{len(constant)} of {len(names)} columns have a single value in all training rows",
            where=f"train, {listed(repr(names[i]) for i in constant)}",
            why="They carry no information, and the effect of other values on predictions is untested.",
            fix="Exclude them (drop=), or find out why they are constant.",
        )


@check("data", "rows")
def numbers_in_doubt(subject: "Subject") -> "Iterator[Finding]":
    """Find numbers with ambiguous formats or units, categories that are mostly numbers, and unread cells."""
    for line in subject.data.seen.get("doubts", ()):
        problem, _, fix = line.partition(" If that is wrong, ")
        yield warning(
            problem.rstrip("."),
            where="the table",
            why="A number may be wrong by a factor of 100 or 1000, or without its order, and training does not fail.",
            fix=f"If that is wrong, {fix}",
        )
    for name, (count, row, rows, cells) in subject.data.seen.get("unread", {}).items():
        if count >= _UNREAD * rows:
            yield warning(
                f"{count} of {rows} values of column {name!r} ({percent(count / rows)}) cannot be read and are treated "
                f"as missing, such as {listed(cells)}",
                where=f"row {row + 1}",
                why="Each is replaced by the median, which may be far from the value in the cell.",
                fix="Use the same format as in the other cells, or set the type of the column, for example with "
                f"columns={{{name!r}: 'category'}}.",
            )


@check("data", "images")
def blank_images(subject: "Subject") -> "Iterator[Finding]":
    """Find images of a single colour."""
    rows, x = subject.sample
    flat = x.reshape(len(x), -1)
    blank = rows[flat.max(axis=1) == flat.min(axis=1)]
    if len(blank) > _BLANK * len(rows):
        labels = subject.labels["train"][blank] if subject.labels is not None else ()
        class_suffix = (
            f", class {listed(class_name(subject.data, int(n)) for n in np.unique(labels))}"
            if len(labels)
            else ""
        )
        yield warning(
            f"{len(blank)} of {len(rows)} sampled images have a single colour",
            where=f"train, rows {listed(blank)}{class_suffix}",
            why="They contain no information; failed downloads and black frames cause this.",
            fix="Remove them.",
        )


@check("network", "images", "probe")
def scaled_twice(subject: "Subject") -> "Iterator[Finding]":
    """Find pixels that are divided by 255 before the network and again inside it."""
    if subject.probe.first is None:
        return
    layer, activations = subject.probe.first
    raw_max = float(np.abs(subject.batch[0]).max())
    scaled_max = float(np.abs(activations).max())
    if 0 < scaled_max < _SMALL_PIXELS and raw_max <= 1.5:
        yield error(
            f"Pixels are divided by 255 twice: at most {raw_max:.3g} in the inputs, {scaled_max:.2g} at the first "
            "layer",
            where=f"train inputs, layer {layer!r}",
            why="All images look almost black to the network, so it learns nothing.",
            fix="Pass pixels of 0..255, or remove the scaling from the network (rescale=False).",
        )


@check("network", "probe")
def not_scaled(subject: "Subject") -> "Iterator[Finding]":
    """Find raw pixels or large numbers that reach the first layer unscaled."""
    if subject.probe.first is None:
        return
    layer, inputs = subject.probe.first
    size = np.sqrt(
        np.mean(np.square(inputs.reshape(-1, inputs.shape[-1]), dtype="float64"), axis=0)
    )
    if not np.isfinite(size).all() or size.max() <= _LARGE:
        return
    if subject.images:
        problem = f"Pixels up to {inputs.max():.0f}"
        fix = "Add keras.layers.Rescaling(1 / 255) as first layer."
    else:
        names = subject.columns or ()
        column = int(size.argmax())
        name = f" in column {names[column]!r}" if len(names) == len(size) else ""
        problem = f"Numbers of magnitude {size.max():.3g}{name}"
        fix = "Standardise the columns with keras.layers.Rescaling (mean and standard deviation) or BatchNormalization."
    yield warning(
        f"{problem} are not scaled before the first layer with weights",
        where=f"layer {layer!r}",
        why="The first steps are too large, or one column dominates: training is slow or diverges.",
        fix=fix,
    )


@check("data", "targets", "model")
def targets_form(subject: "Subject") -> "Iterator[Finding]":
    """Find targets whose shape differs from the outputs, which NumPy-style broadcasting may hide."""
    shape = getattr(subject.model, "output_shape", None)
    if not isinstance(shape, tuple) or None in shape[1:]:
        return
    target_shape = np.shape(read(subject.data.train.y, np.arange(1)))[1:]
    output_shape = shape[1:]
    if target_shape and (quantiles := subject.data.config.get("quantiles")):
        target_shape = (*target_shape[:-1], target_shape[-1] * len(quantiles))
    if target_shape not in (
        output_shape,
        output_shape[:-1] if output_shape[-1:] == (1,) else output_shape,
    ):
        yield error(
            f"The targets of a row have shape {target_shape}, but the outputs of the network have {output_shape}",
            where="train y",
            why="Keras fails, or compares each target with each output.",
            fix="Set the units of the last layer to the number of targets.",
        )


@check("data", "targets", "rows")
def constant_targets(subject: "Subject") -> "Iterator[Finding]":
    """Find targets with a single value in all training rows."""
    values = np.asarray(subject.targets["train"], "float64")
    values = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    names = subject.data.target_names
    for column in range(values.shape[1]):
        if (values[:, column] == values[0, column]).all():
            name = names[column] if column < len(names) else f"target {column}"
            yield error(
                f"The target is {values[0, column]:g} in all training rows",
                where=f"train y, {name!r}",
                why="There is nothing to learn.",
                fix="Choose another target, or other rows.",
            )


@check("network", "targets", "probe", "loss")
def target_scale(subject: "Subject") -> "Iterator[Finding]":
    """Find targets much larger than the network's initial outputs."""
    truth = subject.batch[1]
    answers = subject.probe.answers
    if subject.loss.labels != "values" or truth.size != answers.size:
        return
    size, output_size = (
        float(np.sqrt(np.mean(np.square(array, dtype="float64")))) for array in (truth, answers)
    )
    if size > 30 and size > 10 * output_size:
        yield warning(
            f"Targets have magnitude {size:.3g}, but the initial outputs {output_size:.2g}",
            where="train y",
            why="The initial loss is very large, and most of the training is spent on learning the mean.",
            fix="Train on (y - mean) / deviation and scale the predictions back (kzoo presets do it themselves).",
        )


@check("data", "targets", "loss")
def targets_out_of_reach(subject: "Subject") -> "Iterator[Finding]":
    """Find targets outside the range of the last activation."""
    bounds = subject.reach
    if bounds is None or subject.loss.labels != "values":
        return
    name, low, high = bounds
    truth = np.asarray(read(subject.data.train.y, subject.some()), "float64")
    if subject.standardize is not None:
        truth = (truth - np.asarray(subject.standardize[0])) / np.asarray(subject.standardize[1])
    outside = (truth < low - 1e-6) | (truth > high + 1e-6)
    if outside.mean() > 0.001:
        yield error(
            f"{outside.mean():.1%} of the targets are outside {low:g}..{high:g}, the range of {name}",
            where=f"train y, from {truth.min():.4g} to {truth.max():.4g}",
            why="The network cannot predict them.",
            fix="Remove the last activation, or scale the targets into its range.",
        )


@check("data", "rows", "unordered")
def one_row_again(subject: "Subject") -> "Iterator[Finding]":
    """Find training rows that are nearly all duplicates."""
    if subject.series:
        return
    _, x = subject.sample
    distinct = len({row.tobytes() for row in np.ascontiguousarray(x)})
    if len(x) >= 20 and distinct <= 0.05 * len(x):
        yield warning(
            f"{len(x)} sampled rows contain only {distinct} distinct inputs",
            where="train x",
            why="Duplicates add no information, and put the same rows into several splits.",
            fix="Remove the duplicates; to weight classes use class_weight='balanced'.",
        )
