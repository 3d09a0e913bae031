"""Loading of texts: labelled ones (a file per class, a file per document, a text column), or one long text."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.column_kind import missing_categories
from kzoo.data.inputs.rows.columns import missing_value_notes
from kzoo.data.inputs.rows.fitting import targets_in
from kzoo.data.inputs.rows.row_columns import moments, new_weights, time_note
from kzoo.data.inputs.text.language import (
    cut_into_windows,
    labelled_windows,
    load_language,
    text_settings,
)
from kzoo.data.inputs.text.long_text import is_too_long
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import Mapped, RowArray, blocks, sample_rows, select_rows, series_of
from kzoo.data.tables.frame import as_frame, index_notes
from kzoo.data.tables.overview import describe_columns
from kzoo.data.tables.repeated import repeated_ids
from kzoo.data.targets import detection
from kzoo.data.targets.columns import without_missing_words
from kzoo.data.targets.fit import fit_targets, joined_values
from kzoo.data.targets.labels import list_targets, sets_of
from kzoo.data.targets.rare_classes import check_classes_dropped
from kzoo.data.targets.repairs import keys_of
from kzoo.data.targets.table import TargetColumns
from kzoo.inference.kinds.text.folders import (
    SUFFIXES,
    check_classes,
    classes_below,
    new_data_folder,
    split_folders,
    texts_below,
)
from kzoo.inference.kinds.text.inference import (
    AsTexts,
    preprocessing_of,
    read,
    reads_last_tokens,
    texts_in,
)
from kzoo.inference.kinds.text.pieces import LEVEL as PIECES
from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN, Tokenizer, learn_and_encode
from kzoo.inference.sources.files import TextFile, add_notes, joined_notes, read_text
from kzoo.inference.sources.folders import extra_folders_note
from kzoo.inference.sources.shards import folder_at
from kzoo.inference.sources.unreadable import (
    MAX_SHARE_EVALUATION,
    MAX_SHARE_TRAINING,
    broken_files_note,
)
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import MOST, TARGET_NAMES, as_names, require, rows_of
from kzoo.inference.tables.values import MISSING, Cells, plain, to_words
from kzoo.problems.kinds import Fresh
from kzoo.problems.layout import Preprocessor, RawInputs, RawLabels
from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, percent
from kzoo.utils.memory import too_large
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    import pandas
    from pandas import DataFrame

    from kzoo.zoo.registry import Preset


_BEGINNING = 300  # characters of a text that are kept for people
_CUT = 0.05  # share of the training texts that may be truncated without a note
# texts from which a longer length is estimated, and the longest one, in lengths of the preset
_LOOKED_AT, _LONGEST = 500, 8
_WITHOUT = "{} rows without text or label were dropped."


def load(request: LoadRequest) -> Dataset:
    """Load texts with labels, from a folder or a table, or one long text."""
    if request.form == "tabular":
        return load_text_table(request)
    if request.form == "folder":
        return load_text_folder(request)
    files = request.paths({"train": Path(request.source)}, "a plain text")
    encodings: list[str] = []  # notes on encodings
    reader = TextFile if is_too_long(files.values()) else read_text
    texts = {part: reader(file, encodings) for part, file in files.items()}
    data = load_language(request, texts)
    data.notes += encodings
    return data


def load_text_folder(request: LoadRequest) -> Dataset:
    """Load a folder with, for each class, a `.txt` file (one example per line) or a folder of `.txt` files.

    `train/`, `val/` and `test/` above them are official splits.

    Raises:
        KzooError: there are no texts, or only one class.
    """
    root = folder_at(request.source)
    parts = split_folders(root)
    folder_notes = extra_folders_note(root, parts, "texts", lambda folder: texts_below(folder)[0])
    parts = request.paths(parts, "a folder of texts")
    contents = {
        part: read_folder(folder, most=MAX_SHARE_TRAINING) for part, folder in parts.items()
    }
    notes = [
        f"{line} ({part})" if len(contents) > 1 else line
        for part, (_, _, lines) in contents.items()
        for line in lines
    ]
    notes += folder_notes
    return build_text(
        request,
        [text for texts, *_ in contents.values() for text in texts],
        [label for _, labels, _ in contents.values() for label in labels],
        others={part: len(texts) for part, (texts, *_) in contents.items() if part != "train"},
        notes=notes,
    )


def read_folder(folder: Path, *, most: float) -> tuple[list[str], list[str], list[str]]:
    """Return (texts, labels, notes) of a folder: a `.txt` file for each class, or a folder of them.

    Args:
        folder: its path.
        most: the largest share of documents that may be left out because they cannot be read or are empty.

    Raises:
        KzooError: there are no texts, only one class, or more unreadable files.
    """
    files, notes = classes_below(folder)
    check_classes(folder, files)
    has_documents = any(isinstance(class_files, list) for class_files in files.values())
    labelled_files = [
        (file, label)
        for label, class_files in files.items()
        for file in (class_files if has_documents else [class_files])
    ]
    texts = []
    labels = []
    errors = {}
    encoding_notes: list[str] = []
    for index, (file, label) in enumerate(labelled_files):
        try:
            text = read_text(file, encoding_notes).strip()
        except KzooError as error:
            errors[index] = str(error)
            continue
        if not text:
            errors[index] = f"{file.name!r} is empty."
        lines = [text] if has_documents else [line.strip() for line in text.split("\n")]
        texts += [line for line in lines if line]
        labels += [label for line in lines if line]
    if errors and not has_documents:
        raise KzooError(
            f"Class {labelled_files[min(errors)][1]!r} has no texts: {errors[min(errors)]}"
        )
    names = [file.relative_to(folder).as_posix() for file, _ in labelled_files]
    note = broken_files_note(errors, names, "text", most=most)
    check_classes(folder, dict.fromkeys(labels))
    notes += joined_notes(encoding_notes)
    return texts, labels, [*notes, note] if note else notes


def load_text_table(request: LoadRequest) -> Dataset:
    """Load a table with a text column and a target: classes, labels, or one or several columns of values.

    The text is the column with the longest strings.
    """
    source = request.source
    options = request.options
    # Labels stay as written in the file: `0111` is not 111. The target column may only be known once the file is read.
    default_names = [name for word in TARGET_NAMES for name in (word, word.title(), word.upper())]
    notes = [*index_notes(source)]
    text_columns: Collection[str] = default_names
    if options.target is not None:
        text_columns = {*as_names(options.target), str(options.target)}
    frame = as_frame(source, text_columns, notes, list_targets(source, options.target))
    fit = TargetColumns(frame, "tokens", options, request.preset, noun="texts")
    targets, time = fit.targets, fit.time
    excluded = [*fit.excluded, *([] if time is None else [time])]
    frame = fit.learn_missing(fit.learn_labels(frame))
    column = _text_column(frame.drop(columns=list(dict.fromkeys(excluded))))
    frame = fit.without_rare(frame, options.drop_rare, _has_text_and_targets(frame, column, fit))
    tables = {}
    for part, part_source in request.second_sources.items():
        words = (
            {name: MISSING.intersection(frame[name].unique()) for name in targets}
            if fit.labels is None
            else targets
        )
        part_frame = as_frame(part_source, words, notes, targets)
        require(part_frame, [column, *targets], f"the {part} table")
        part_frame = fit.of_part(part_frame, part)
        keep = _has_text_and_targets(part_frame, column, fit)
        fit.read_weights(part_frame, keep, notes, part=part)
        tables[part] = _complete(part_frame, keep, column, targets, notes)
    notes += fit.rare_notes()
    notes += missing_value_notes(frame.attrs.get("words", {}), [], targets)
    keep = _has_text_and_targets(frame, column, fit)
    complete = _complete(frame, keep, column, targets, notes)
    cells = {}
    if fit.labels is None:
        cells = {name: detection.numbers_or_texts(plain(complete[name])) for name in targets}
    chosen, line = fit.choose_problem(cells)
    is_notable = "values" in chosen.facts or detection.count_note(chosen, list(cells.values()))
    if fit.labels is not None or (options.task is None and is_notable):
        notes.append(line)
    check_classes_dropped(chosen, options.drop_rare)
    examples = [
        _texts_and_labels(table, column, fit, chosen) for table in (complete, *tables.values())
    ]
    values = examples[0][1]
    fit.read_weights(frame, keep, notes)
    times = None if time is None else moments(frame, time, keep, notes)
    data = build_text(
        replace(request, problem=chosen),
        [text for texts, _ in examples for text in texts],
        joined_values([_raw(part_values) for _, part_values in examples]),
        others={part: len(table) for part, table in tables.items()},
        notes=notes,
        column=column,
        targets=targets,
        separator=None if fit.labels is None else fit.labels.separator,
        groups=fit.groups(complete),
        moments=times,
        weight=fit.weight,
        weight_source=f"column {fit.sample_weight!r}",
    )
    if times is not None:
        own_rows = {
            part: None if (rows := getattr(data, part)) is None else rows.rows
            for part in ("validation", "calibration", "test")
        }
        data.notes.append(time_note(complete[time], time, times, own_rows, False))
        data.seen["in_order"] = True
    reason = f"text is read from {column!r}"
    described = {other: ("left out", reason) for other in frame.columns} | fit.described()
    described[column] = ("text", "")
    ids = complete.drop(columns=list(dict.fromkeys([column, *targets])))
    if fit.labels is None:
        target_columns = {targets[0]: values} if isinstance(values, list) else dict(values)
    else:
        target_columns = {name: complete[name] for name in targets}
    data.seen["repeated"] = repeated_ids(rows_of(ids.assign(**target_columns)), targets, ())
    data.seen["read"] = describe_columns(frame, (), {}, targets=targets, apart=described)
    return data


def _length_few_reach(tokenizer: Tokenizer, texts: list[str], shortest: int, longest: int) -> int:
    """Return the smallest length that few texts reach: the shortest, doubled until it is the longest one."""
    sample = texts[:: 1 + len(texts) // _LOOKED_AT]
    length = shortest
    while length < longest and (tokenizer.encode(sample, length)[:, -1] != 0).mean() > _CUT:
        length *= 2
    return length


def _length_in_memory(tokenizer: Tokenizer, texts: list[str], shortest: int, rows: int) -> int:
    """Return the length of texts that data decides; a shorter one where the ids of all rows would not fit into memory.

    Args:
        tokenizer: the tokenizer.
        texts: the training texts.
        shortest: the smallest length.
        rows: number of texts of all splits.
    """
    length = _length_few_reach(tokenizer, texts, shortest, _LONGEST * shortest)
    while length > shortest and too_large(np.dtype(np.int32).itemsize * rows * length):
        length //= 2
    return length


def _text_column(frame: "DataFrame") -> str:
    lengths: Any = {
        name: frame[name].dropna().astype(str).str.len().mean()
        for name in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any()
    }
    if not lengths:
        raise KzooError(
            "The table has no text column besides the target. Use a preset for rows, such as tabular_fnn."
        )
    return max(lengths, key=lengths.get)


def _has_text_and_targets(frame: "pandas.DataFrame", column: str, fit: TargetColumns) -> np.ndarray:
    """Return which rows (N,) of a table have a text and all targets; of labels, any."""
    has_text = frame[column].notna() & (frame[column].astype(str).str.strip() != "")
    return has_text.to_numpy() & fit.present(frame)


def _complete(
    frame: "pandas.DataFrame",
    keep: np.ndarray,
    column: str,
    targets: Sequence[str],
    notes: list[str],
) -> "pandas.DataFrame":
    """Return the rows `keep` (N,) of a table, those that have a text and all targets, with a new index."""
    if dropped := int((~keep).sum()):
        notes.append(_WITHOUT.format(dropped))
    complete = frame[keep].reset_index(drop=True)
    if not len(complete):
        raise KzooError(
            f"No row has both a text ({column!r}) and a label ({listed(map(repr, targets), MOST)})."
        )
    return complete


def _texts_and_labels(
    complete: "pandas.DataFrame", column: str, fit: TargetColumns, problem: Problem
) -> "tuple[list[str], list[str] | np.ndarray | pandas.DataFrame]":
    """Return the texts of a table, and a list of classes, the labels, or the columns of values (a DataFrame)."""
    texts = complete[column].astype(str).tolist()
    if fit.labels is None and "classes" in problem.facts:
        return texts, _labels(complete[fit.targets[0]])
    return texts, fit.values(complete)


def _labels(values: "pandas.Series") -> list[str]:
    """Return labels as words; if all of them are written like `1.0`, as pandas writes integers, as `1`."""
    words = to_words(values).astype(str).tolist()
    whole = all(re.fullmatch(r"-?\d+\.0", word) for word in set(words))
    return [word[:-2] for word in words] if whole else words


def build_text(
    request: LoadRequest,
    texts: list[str],
    labels: "list[str] | np.ndarray | pandas.DataFrame",
    *,
    others: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    column: str | None = None,
    targets: Sequence[str] = ("label",),
    separator: str | None = None,
    **rows: Any,
) -> Dataset:
    """Tokenize labelled texts and split them.

    Args:
        request: how rows are split. The problem is by default that of the preset, else a classification.
        texts, labels: of equal length, those of other sources last; labels may also be columns of values, a DataFrame,
            or what the task of labels takes.
        others: split -> number of its own texts; see `fit_targets`.
        column, targets: the columns of texts and labels, for `encode` and for display.
        separator: between the labels of a cell, see `LabelColumns`; None for classes.
        rows: how rows are weighted and grouped; see `fit_targets`.
    """
    others = others or {}
    problem = (
        request.problem
        or detection.only_problem(request.preset)
        or detection.requested_problem("tokens", "classification")
    )
    fitted = fit_targets(
        problem,
        _raw(labels),
        len(texts) - sum(others.values()),
        names=list(targets),
        options=request.options,
        others=others,
        **rows,
    )
    notes = [*notes, *fitted.weight_notes]
    texts_of: dict[str, Any] = {
        part: None if numbers is None else [texts[number] for number in numbers]
        for part, numbers in fitted.parts.items()
    }
    length, size, level, ngrams = text_settings(request.preset)
    is_open = request.preset is not None and None in request.preset.config["input_shape"]
    train_texts = texts_of["train"]
    if level == PIECES:
        tokenizer = import_module("kzoo.data.inputs.text.sentence_encoder").load_tokenizer()
        if is_open:
            length = _length_in_memory(tokenizer, train_texts, length, len(texts))
        ids = tokenizer.encode(train_texts, length)
        size = len(tokenizer)
    else:
        lowercase = level == "words"
        tokenizer, ids = learn_and_encode(
            train_texts, length, level=level, ngrams=ngrams, size=size, lowercase=lowercase
        )
    x = {
        part: ids if part == "train" else tokenizer.encode(part_texts, length)
        for part, part_texts in texts_of.items()
        if part_texts is not None
    }
    parts = fitted.splits(
        x,
        texts=np.array([text[:_BEGINNING] for text in texts], object),
        keys=keys_of(text.encode("utf-8", "surrogatepass") for text in texts),
        rows=dict.fromkeys(others),
    )
    cut = float((ids[:, -1] != 0).mean())
    longer = None
    if cut > _CUT:
        longer = _length_few_reach(tokenizer, train_texts, 2 * length, _LONGEST * length)
        notes.append(
            f"{cut:.0%} of the training texts reach {length} tokens. Longer texts are truncated. Use "
            f"input_shape={longer} to read more of them."
        )
    weights = {
        part: split.weight.tolist()
        for part, split in sorted(parts.items())
        if split is not None and split.weight is not None
    }
    return fitted.dataset(
        parts,
        name=request.name,
        inputs="tokens",
        config={
            "input_shape": (length,),
            **fitted.learned.config,
            "vocabulary_size": min(size, len(tokenizer)),
        },
        preprocessing=preprocessing_of("text", tokenizer, length, column=column)
        | ({} if separator is None else {"separator": separator}),
        feature_names=(column or "text",),
        notes=notes,
        seen={"cut": cut, "longer": None if is_open else longer},
        fingerprint=splits.fingerprint(
            [
                None if split is None else [texts_of[part], split.y.tolist()]
                for part, split in parts.items()
            ],
            list(fitted.learned.classes),
            length,
            *([weights] if weights else []),
        ),
    )


def _raw(labels: "list[str] | np.ndarray | pandas.DataFrame") -> "np.ndarray | pandas.DataFrame":
    """Return labels as `learn` and `encode` of a task take them."""
    return np.array(labels, dtype=str) if isinstance(labels, list) else labels


def take(x: np.ndarray, preset: "Preset | None") -> np.ndarray | Mapped:
    """Return an array of token ids as int32 (N, T)."""
    x = checked(x, "tokens")
    for ids in blocks(x):
        if ids.dtype.kind == "f" and (ids != np.round(ids)).any():
            raise KzooError("Token ids must be whole numbers, but x contains fractions.")
        if ids.size and ids.min() < 0:
            raise KzooError(f"Token ids must not be negative. The lowest is {ids.min()}.")
    return as_type(x, np.int32)


def fit(
    x: np.ndarray | Mapped,
    train: np.ndarray,
    *,
    notes: list[str],
    vocabulary_size: int | None = None,
    **more: object,
) -> tuple[np.ndarray | Mapped, JsonObject, None]:
    """Return ids, with ids outside the vocabulary replaced by the unknown id, and the vocabulary size.

    Args:
        x: (N, T).
        train: indices of the training rows.
        notes: a list that gets a line if ids become unknown.
        vocabulary_size: number of ids, if it is known.
    """
    size = vocabulary_size or _max_id(select_rows(x, train)) + 1
    if (highest := _max_id(x)) >= size:
        replace_unknown = partial(_replace_unknown, size=size)
        x = x.made(replace_unknown) if isinstance(x, Mapped) else replace_unknown(x)
        notes.append(
            f"Ids up to {highest} occur. Ids of {size} and above are treated as unknown ({UNKNOWN})."
        )
    return x, {"vocabulary_size": size}, None


def _max_id(ids: RowArray) -> int:
    return max(int(block.max()) for block in blocks(ids))


def _replace_unknown(ids: np.ndarray, size: int) -> np.ndarray:
    return np.where(ids >= size, UNKNOWN, ids)


def labelled(
    reader: Preprocessor,
    source: RawInputs,
    *,
    targets: Sequence[str],
    config: Config,
    sample_weight: str | None = None,
) -> Split:
    """Return texts and their labels as written; for one long text, all windows and the tokens that follow.

    Args:
        sample_weight: name of the column of weights, or None.
    """
    if reads_last_tokens(reader):
        return labelled_windows(reader, source, per_step=config.get("pooling") is None)
    if isinstance(source, str | Path) and folder_at(source).is_dir():
        texts, labels = _new_folder(source)
        return Split(x=read(reader, AsTexts(texts, rows=()))[0], y=np.array(labels, dtype=str))
    if isinstance(source, str | Path) and Path(source).suffix.lower() in SUFFIXES:
        raise KzooError(
            "A single text file has no labels. Pass a folder with a .txt file for each class, or a .csv file."
        )
    frame, texts, complete = _usable(reader, source, targets)
    add_notes(missing_value_notes(frame.attrs.get("words", {}), [], targets))
    if dropped := int((~complete).sum()):
        warn(_WITHOUT.format(dropped))
    if not complete.any():
        raise KzooError(f"No row has both a text and a label ({listed(map(repr, targets), MOST)}).")
    answers = frame.loc[complete, targets].reset_index(drop=True)
    return Split(
        x=read(reader, AsTexts(texts[complete], rows=np.flatnonzero(complete) + 1))[0],
        y=_label_answers(reader, answers) if "separator" in reader else _in_words(answers),
        weight=new_weights(frame, sample_weight, complete),
    )


def _usable(
    reader: Preprocessor, source: RawInputs, targets: Sequence[str]
) -> "tuple[DataFrame, Cells, np.ndarray]":
    """Return (the table, its texts, whether each row has both a text and a label)."""
    frame = as_frame(source, targets, lists=targets)
    require(frame, targets, "the table")
    texts = np.array(texts_in(reader, frame), object)
    has_text = np.array([text.strip() != "" for text in texts], bool)
    if "separator" not in reader:
        frame = without_missing_words(frame, dict.fromkeys(targets, missing_categories(file=False)))
    present = frame[targets].notna()
    if reader.get("separator"):  # a cell without text has no label
        return frame, texts, has_text
    has_target = present.any(axis=1) if "separator" in reader else present.all(axis=1)
    complete = has_target.to_numpy() & has_text
    return frame, texts, complete


def usable_rows(reader: Preprocessor, source: RawInputs, *, targets: Sequence[str]) -> "DataFrame":
    """Return the rows of a table that have a text and a label, as a DataFrame with all of its columns.

    Raises:
        KzooError: a target is not a column.
    """
    frame, _, complete = _usable(reader, source, targets)
    return frame[complete].reset_index(drop=True)


def _label_answers(reader: Preprocessor, answers: "DataFrame") -> RawLabels:
    """Return the labels of new texts as the task takes them."""
    separator = reader.get("separator")
    return sets_of(answers.iloc[:, 0], separator) if separator else answers


def fresh(reader: Preprocessor, source: RawInputs, *, targets: Sequence[str]) -> Fresh:
    """Return texts, and their labels if they have any; one long text is cut into windows."""
    if reads_last_tokens(reader):
        return Fresh(x=cut_into_windows(reader, source))
    if isinstance(source, str | Path) and folder_at(source).is_dir():
        texts, labels = _new_folder(source)
        return Fresh(x=read(reader, AsTexts(texts, rows=()))[0], answers=np.array(labels))
    source = as_frame(source, targets) if is_table(source) else source
    x, _ = read(reader, source)
    if hasattr(source, "iloc") and set(targets) <= set(source.columns) and "separator" in reader:
        return Fresh(x=x, answers=_label_answers(reader, source[targets].reset_index(drop=True)))
    answers = targets_in(source, targets) if hasattr(source, "iloc") else None
    return Fresh(x=x, answers=None if answers is None else _in_words(answers))


def _in_words(answers: "DataFrame") -> "DataFrame":
    """Return a table of labels, which may have no rows, with the words of `_labels`."""
    return answers.assign(**{name: _labels(answers[name]) for name in answers})


def _new_folder(source: str | Path) -> tuple[Cells, Cells]:
    """Return the texts and labels of a folder of new data, and warn of what is left out."""
    texts, labels, notes = read_folder(
        new_data_folder(folder_at(source)), most=MAX_SHARE_EVALUATION
    )
    for line in notes:
        warn(line)
    return texts, labels


def describe(
    x: RowArray, names: Sequence[str] = (), categories: int = 0
) -> tuple[list[str], np.ndarray]:
    """Return the length of texts and their share of unknown tokens."""
    ids = sample_rows(x)
    real = (ids != PADDING).sum(axis=1)
    return ["tokens", "unknown share"], np.stack(
        [real, (ids == UNKNOWN).sum(axis=1) / np.maximum(real, 1)], axis=1
    )


def overview(data: Dataset) -> JsonObject:
    """Return the lengths of the texts in tokens and the vocabulary size; for a long text, the lengths of its parts."""
    vocabulary = (
        {"vocabulary": data.config["vocabulary_size"]} if "vocabulary_size" in data.config else {}
    )
    if series_of(data.train.x) is not None:
        parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
        sizes = {
            name: len(tokens)
            for name, part in parts.items()
            if part is not None and (tokens := series_of(part.x)) is not None
        }
        return {
            "noun": "windows",
            "about": {"tokens": sizes, "window": data.input_shape[0]} | vocabulary,
        }
    about = vocabulary
    if len(data.train):
        lengths = (sample_rows(data.train.x) != PADDING).sum(axis=1)
        lengths_summary = {
            "shortest": int(lengths.min()),
            "median": int(np.median(lengths)),
            "longest": int(lengths.max()),
        }
        about = {"tokens in a text": lengths_summary} | vocabulary
    if data.seen.get("cut"):
        about |= {f"reach {data.input_shape[0]} and are cut off there": percent(data.seen["cut"])}
    return {"noun": "texts", "columns": data.seen.get("read", []), "about": about}
