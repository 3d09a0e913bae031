"""Loading of texts: labelled ones (a file per class, a file per document, a text column), or one long text."""

import re
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.column_kind import missing_categories
from kzoo.data.inputs.rows.columns import missing_value_notes
from kzoo.data.inputs.rows.fitting import targets_in
from kzoo.data.inputs.rows.row_columns import (
    check_row_columns,
    moments,
    new_weights,
    row_weights,
    time_note,
)
from kzoo.data.inputs.text.language import (
    cut_into_windows,
    labelled_windows,
    load_language,
    text_settings,
)
from kzoo.data.inputs.text.long_text import is_too_long
from kzoo.data.store.windows import Mapped, blocks, sample_rows, select_rows, series_of
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.frame import as_frame, index_notes
from kzoo.data.tables.overview import describe_columns
from kzoo.data.tables.repeated import repeated_ids
from kzoo.data.targets import detection
from kzoo.data.targets.columns import group_labels, missing_words, without_missing_words
from kzoo.data.targets.labels import describe as describe_labels
from kzoo.data.targets.labels import label_columns, labels_problem, list_targets, sets_of
from kzoo.data.targets.rare_classes import RareClasses, check_classes_dropped
from kzoo.data.targets.repairs import keys_of
from kzoo.data.targets.weights import scaled_by_split, weights_note
from kzoo.inference.kinds.rows.column_options import check_target_options, column_options
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
from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN, learn_and_encode
from kzoo.inference.sources.files import TextFile, add_notes, joined_notes, read_text
from kzoo.inference.sources.folders import extra_folders_note
from kzoo.inference.sources.unreadable import (
    MAX_SHARE_EVALUATION,
    MAX_SHARE_TRAINING,
    broken_files_note,
)
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import MOST, TARGET_NAMES, as_names, find_target, require, rows_of
from kzoo.inference.tables.values import MISSING, plain, to_words
from kzoo.problems.kinds import Fresh
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, percent, shown
from kzoo.utils.optional import pandas as pd

_BEGINNING = 300  # characters of a text that are kept for people
_CUT = 0.05  # share of the training texts that may be truncated without a note
# texts from which a longer length is estimated, and the longest one, in lengths
_LOOKED_AT, _LONGEST = 500, 8
_WITHOUT = "{} rows without text or label were dropped."


def load(source, form, *, problem, name, preset, validation, test, seed, **more):
    """Load texts with labels, from a folder or a table, or one long text."""
    options = dict(preset=preset, validation=validation, test=test)
    more_sources = splits.second_sources(validation, test)
    if form == "tabular":
        return load_text_table(source, name=name, seed=seed, **options, **more)
    if form == "folder":
        return load_text_folder(source, name=name, seed=seed, problem=problem, **options)
    files = {"train": Path(source)} | {
        part: _text_path(part, file) for part, file in more_sources.items()
    }
    encodings: list = []  # notes on encodings
    reader = TextFile if is_too_long(files.values()) else read_text
    texts = {part: reader(file, encodings) for part, file in files.items()}
    options |= dict.fromkeys(more_sources)
    data = load_language(texts.pop("train"), name=name, task=problem.name, more=texts, **options)
    data.notes += encodings
    return data


def _text_path(part, source):
    """Return the path of a second text.

    Raises:
        KzooError: it is not a path.
    """
    if not isinstance(source, str | Path):
        raise KzooError(
            f"{part}= for a plain text must be a fraction or the path of a second text, not {shown(source)}."
        )
    return Path(source)


def load_text_folder(path, *, name, preset=None, validation=0.1, test=None, seed=0, problem=None):
    """Load a folder with, for each class, a `.txt` file (one example per line) or a folder of `.txt` files.

    `train/`, `val/` and `test/` above them are official splits.

    Raises:
        KzooError: there are no texts, or only one class.
    """
    parts = split_folders(Path(path))
    folder_notes = extra_folders_note(
        Path(path), parts, "texts", lambda folder: texts_below(folder)[0]
    )
    more_sources = splits.second_sources(validation, test)
    if isinstance(test, splits.Fold):
        parts.pop("test", None)
    parts |= {part: _text_path(part, source) for part, source in more_sources.items()}
    validation = splits.drawn(validation)
    test = None if "test" in more_sources else test
    contents = {
        part: read_folder(folder, most=MAX_SHARE_TRAINING) for part, folder in parts.items()
    }
    notes = [
        f"{line} ({part})" if len(contents) > 1 else line
        for part, (_, _, lines) in contents.items()
        for line in lines
    ]
    notes += folder_notes
    official = {part: (texts, labels) for part, (texts, labels, _) in contents.items()}
    return build_text(
        *official.pop("train"),
        official=official,
        name=name,
        preset=preset,
        validation=validation,
        test=test,
        seed=seed,
        notes=notes,
        problem=problem,
    )


def read_folder(folder, *, most):
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
    encoding_notes = []
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


def load_text_table(
    source,
    *,
    name,
    preset=None,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    group=None,
    task=None,
    columns=None,
    seed=0,
    sample_weight=None,
    time=None,
    split="random",
    drop_rare=None,
):
    """Load a table with a text column and a target: classes, labels, or one or several columns of values.

    The text is the column with the longest strings.
    """
    # Labels stay as written in the file: `0111` is not 111. The target column may only be known once the file is read.
    default_names = [name for word in TARGET_NAMES for name in (word, word.title(), word.upper())]
    official = {}
    notes = [*index_notes(source)]
    text_columns = default_names if target is None else {*as_names(target), str(target)}
    frame = as_frame(source, text_columns, notes, list_targets(source, target))
    targets = find_target(frame, target)
    time = time if split == "time" else None
    check_row_columns(frame, target=targets, sample_weight=sample_weight, time=time)
    overrides = column_options(columns, frame)
    check_target_options(overrides, targets, "texts")
    excluded = [
        *targets,
        *as_names(drop),
        *(name for name in (group, sample_weight, time) if name is not None),
    ]
    require(frame, excluded, "the table")
    labels = label_columns(frame, targets, "tokens", task=task, overrides=overrides, preset=preset)
    blank = missing_words(frame, targets) if labels is None else {}
    frame = without_missing_words(frame, blank) if labels is None else labels.prepare(frame)
    column = _text_column(frame.drop(columns=list(dict.fromkeys(excluded))))
    rare = None
    if drop_rare is not None:
        usable = _has_text_and_targets(frame, column, targets, labels)
        rare = RareClasses(
            frame,
            [*targets, "labels"] if labels is not None else targets,
            drop_rare,
            np.asarray(usable),
        )
        frame = rare.without(frame)
    tables, weights = {}, {}
    for part, part_source in splits.second_sources(validation, test).items():
        words = (
            {name: MISSING.intersection(frame[name].unique()) for name in targets}
            if labels is None
            else targets
        )
        part_frame = as_frame(part_source, words, notes, targets)
        part_frame = part_frame if labels is None else labels.prepare(part_frame)
        require(part_frame, [column, *targets], f"the {part} table")
        part_frame = without_missing_words(part_frame, blank)
        part_frame = part_frame if rare is None else rare.without(part_frame, part)
        keep = _has_text_and_targets(part_frame, column, targets, labels)
        if sample_weight in part_frame.columns:
            weights[part] = row_weights(part_frame, sample_weight, keep, part=part)
        elif sample_weight is not None:
            notes.append(
                f"The {part} table has no column {sample_weight!r}: its rows count equally."
            )
        tables[part] = _complete(part_frame, keep, column, targets, notes)
    notes += [] if rare is None else rare.note()
    validation = splits.drawn(validation)
    test = None if "test" in tables else test
    notes += missing_value_notes(frame.attrs.get("words", {}), [], targets)
    keep = _has_text_and_targets(frame, column, targets, labels)
    complete = _complete(frame, keep, column, targets, notes)
    if labels is not None:
        chosen = labels_problem("tokens")
        notes.append(describe_labels(labels, chosen, task))
    else:
        cells = {name: detection.numbers_or_texts(plain(complete[name])) for name in targets}
        chosen, line = detection.choose_problem("tokens", cells, task, preset)
        is_notable = "values" in chosen.facts or detection.count_note(chosen, list(cells.values()))
        notes += [line] if task is None and is_notable else []
    check_classes_dropped(chosen, drop_rare)
    texts, values = _texts_and_labels(complete, column, targets, chosen, labels)
    official = {
        part: _texts_and_labels(table, column, targets, chosen, labels)
        for part, table in tables.items()
    }
    groups = None if group is None else group_labels(complete[group], group)
    if sample_weight is not None:
        weights["train"] = row_weights(frame, sample_weight, keep)
    times = None if time is None else moments(frame, time, keep, notes)
    data = build_text(
        texts,
        values,
        official=official,
        name=name,
        preset=preset,
        validation=validation,
        test=test,
        seed=seed,
        groups=groups,
        notes=notes,
        column=column,
        targets=targets,
        problem=chosen,
        weights=weights,
        weight_column=sample_weight,
        moments=times,
        separator=None if labels is None else labels.separator,
    )
    if times is not None:
        own_rows = {
            part: None if (rows := getattr(data, part)) is None else rows.rows
            for part in ("validation", "calibration", "test")
        }
        data.notes.append(time_note(complete[time], time, times, own_rows, False))
        data.seen["in_order"] = True
    descriptions = {
        other: ("left out", f"text is read from {column!r}")
        for other in frame.columns
        if other != column
    }
    descriptions |= dict.fromkeys(as_names(drop), ("left out", AS_REQUESTED))
    descriptions |= {column: ("text", "")} | (
        {group: ("group", "rows of one value stay in one split")} if group else {}
    )
    descriptions |= {sample_weight: ("weight", "how much each row counts")} if sample_weight else {}
    ids = complete.drop(columns=list(dict.fromkeys([column, *targets])))
    if labels is None:
        target_columns = {targets[0]: values} if isinstance(values, list) else dict(values)
    else:
        target_columns = {name: complete[name] for name in targets}
    data.seen["repeated"] = repeated_ids(rows_of(ids.assign(**target_columns)), targets, ())
    data.seen["read"] = describe_columns(frame, (), {}, targets=targets, apart=descriptions)
    return data


def _longer(tokenizer, texts, length):
    """Return a multiple of a length that few texts reach, of at most `_LONGEST` lengths."""
    sample = texts[:: 1 + len(texts) // _LOOKED_AT]
    longer = 2 * length
    while (
        longer < _LONGEST * length and (tokenizer.encode(sample, longer)[:, -1] != 0).mean() > _CUT
    ):
        longer *= 2
    return longer


def _text_column(frame):
    lengths = {
        name: frame[name].dropna().astype(str).str.len().mean()
        for name in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any()
    }
    if not lengths:
        raise KzooError(
            "The table has no text column besides the target. Use a preset for rows, such as tabular_fnn."
        )
    return max(lengths, key=lengths.get)


def _has_text_and_targets(frame, column, targets, labels=None):
    """Return which rows (N,) of a table have a text and all targets; of labels, any."""
    keep = frame[column].notna() & (
        frame[targets].notna().all(axis=1) if labels is None else labels.present(frame)
    )
    return (keep & (frame[column].astype(str).str.strip() != "")).to_numpy()


def _complete(frame, keep, column, targets, notes):
    """Return the rows `keep` (N,) of a table, those that have a text and all targets, with a new index."""
    if dropped := int((~keep).sum()):
        notes.append(_WITHOUT.format(dropped))
    complete = frame[keep].reset_index(drop=True)
    if not len(complete):
        raise KzooError(
            f"No row has both a text ({column!r}) and a label ({listed(map(repr, targets), MOST)})."
        )
    return complete


def _texts_and_labels(complete, column, targets, problem, labels=None):
    """Return the texts of a table, and a list of classes, the labels, or the columns of values (a DataFrame)."""
    texts = complete[column].astype(str).tolist()
    if labels is not None:
        return texts, labels.values(complete)
    return texts, _labels(complete[targets[0]]) if "classes" in problem.facts else complete[targets]


def _labels(values):
    """Return labels as words; if all of them are written like `1.0`, as pandas writes integers, as `1`."""
    words = to_words(values).astype(str).tolist()
    whole = all(re.fullmatch(r"-?\d+\.0", word) for word in set(words))
    return [word[:-2] for word in words] if whole else words


def build_text(
    texts,
    labels,
    *,
    name,
    official=None,
    preset=None,
    validation=0.1,
    test=None,
    seed=0,
    groups=None,
    notes=(),
    column=None,
    targets=("label",),
    problem=None,
    weights=None,
    weight_column=None,
    moments=None,
    separator=None,
):
    """Tokenize labelled texts and split them.

    Args:
        texts, labels: lists of equal length; labels may also be columns of values, a DataFrame, or what the task of
            labels takes.
        official: {"test": (texts, labels), "validation": ...} if the source has official splits.
        column, targets: the columns of texts and labels, for `encode` and for display.
        problem: the problem; by default that of the preset, else a classification.
        weights: split -> row weights; "train" has those of all `texts`, before the other splits are drawn from them.
        weight_column: name of their column, for a note.
        moments: see `split_rows`.
        separator: between the labels of a cell, see `LabelColumns`; None for classes.
    """
    official = dict(official or {})
    notes = list(notes)
    weights = dict(weights or {})
    problem = (
        problem
        or detection.only_problem(preset)
        or detection.requested_problem("tokens", "classification")
    )
    validation = 0 if "validation" in official else validation
    test = 0 if "test" in official else test
    drawn_weight = weights.pop("train", None)
    learned, y, parts, more = splits.split_target(
        problem.task,
        _raw(labels),
        len(texts),
        names=list(targets),
        validation=validation,
        test=test,
        seed=seed,
        groups=groups,
        moments=moments,
        weight=drawn_weight,
    )
    if drawn_weight is not None:
        dropped = len(texts) - sum(len(rows) for rows in parts.values() if rows is not None)
        weights |= {part: drawn_weight[rows] for part, rows in parts.items() if rows is not None}
        weights = scaled_by_split(weights)
        notes.append(weights_note(weights["train"], f"column {weight_column!r}", dropped))
    chosen = {
        part: ([texts[i] for i in rows], y[rows]) if rows is not None else None
        for part, rows in parts.items()
    }
    for part, (part_texts, part_labels) in official.items():
        options = {"notes": notes} if "labels" in problem.facts else {}
        with splits.in_data_of(part):
            chosen[part] = (
                part_texts,
                problem.task.inference.encode(learned, _raw(part_labels), **options),
            )
    length, size, level, ngrams = text_settings(preset)
    texts = chosen["train"][0]
    if level == PIECES:
        tokenizer = import_module("kzoo.data.inputs.text.sentence_encoder").load_tokenizer()
        ids = tokenizer.encode(texts, length)
        size = len(tokenizer)
    else:
        lowercase = level == "words"
        tokenizer, ids = learn_and_encode(
            texts, length, level=level, ngrams=ngrams, size=size, lowercase=lowercase
        )
    parts_by_name = {
        part: None
        if pair is None
        else Split(
            x=ids if part == "train" else tokenizer.encode(pair[0], length),
            y=pair[1],
            rows=None if part in official else parts[part],
            weight=weights.get(part),
            texts=np.array([text[:_BEGINNING] for text in pair[0]], object),
            keys=keys_of(text.encode("utf-8", "surrogatepass") for text in pair[0]),
        )
        for part, pair in chosen.items()
    }
    cut = float((parts_by_name["train"].x[:, -1] != 0).mean())
    longer = _longer(tokenizer, texts, length) if cut > _CUT else None
    if longer is not None:
        notes.append(
            f"{cut:.0%} of the training texts reach {length} tokens. Longer texts are truncated. Use "
            f"input_shape={longer} to read more of them."
        )
    return Dataset(
        name=name,
        task=problem.name,
        inputs="tokens",
        **parts_by_name,
        config={
            "input_shape": (length,),
            **learned.config,
            "vocabulary_size": min(size, len(tokenizer)),
        },
        preprocessing=preprocessing_of("text", tokenizer, length, column=column)
        | ({} if separator is None else {"separator": separator}),
        class_names=learned.classes,
        feature_names=(column or "text",),
        target_names=learned.names,
        notes=notes + more,
        seen={"cut": cut, "longer": longer},
        fingerprint=splits.fingerprint(
            [None if pair is None else [pair[0], pair[1].tolist()] for pair in chosen.values()],
            list(learned.classes),
            length,
            *(
                [{part: weight.tolist() for part, weight in sorted(weights.items())}]
                if weights
                else []
            ),
        ),
    )


def _raw(labels):
    """Return labels as `learn` and `encode` of a task take them."""
    return np.array(labels, dtype=str) if isinstance(labels, list) else labels


def take(x, preset):
    """Return an array of token ids as int32 (N, T)."""
    x = checked(x, "tokens")
    for ids in blocks(x):
        if ids.dtype.kind == "f" and (ids != np.round(ids)).any():
            raise KzooError("Token ids must be whole numbers, but x contains fractions.")
        if ids.size and ids.min() < 0:
            raise KzooError(f"Token ids must not be negative. The lowest is {ids.min()}.")
    return as_type(x, np.int32)


def fit(x, train, *, notes, vocabulary_size=None, **more):
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


def _max_id(ids):
    return max(int(block.max()) for block in blocks(ids))


def _replace_unknown(ids, size):
    return np.where(ids >= size, UNKNOWN, ids)


def labelled(reader, source, *, targets, config, sample_weight=None):
    """Return texts and their labels as written; for one long text, all windows and the tokens that follow.

    Args:
        sample_weight: name of the column of weights, or None.
    """
    if reads_last_tokens(reader):
        return labelled_windows(reader, source, per_step=config.get("pooling") is None)
    if isinstance(source, str | Path) and Path(source).is_dir():
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


def _usable(reader, source, targets):
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


def usable_rows(reader, source, *, targets):
    """Return the rows of a table that have a text and a label, as a DataFrame with all of its columns.

    Raises:
        KzooError: a target is not a column.
    """
    frame, _, complete = _usable(reader, source, targets)
    return frame[complete].reset_index(drop=True)


def _label_answers(reader, answers):
    """Return the labels of new texts as the task takes them."""
    separator = reader.get("separator")
    return sets_of(answers.iloc[:, 0], separator) if separator else answers


def fresh(reader, source, *, targets):
    """Return texts, and their labels if they have any; one long text is cut into windows."""
    if reads_last_tokens(reader):
        return Fresh(x=cut_into_windows(reader, source))
    if isinstance(source, str | Path) and Path(source).is_dir():
        texts, labels = _new_folder(source)
        return Fresh(x=read(reader, AsTexts(texts, rows=()))[0], answers=np.array(labels))
    source = as_frame(source, targets) if is_table(source) else source
    x, _ = read(reader, source)
    if hasattr(source, "iloc") and set(targets) <= set(source.columns) and "separator" in reader:
        return Fresh(x=x, answers=_label_answers(reader, source[targets].reset_index(drop=True)))
    answers = targets_in(source, targets) if hasattr(source, "iloc") else None
    return Fresh(x=x, answers=None if answers is None else _in_words(answers))


def _in_words(answers):
    """Return a table of labels, which may have no rows, with the words of `_labels`."""
    return answers.assign(**{name: _labels(answers[name]) for name in answers})


def _new_folder(source):
    """Return the texts and labels of a folder of new data, and warn of what is left out."""
    texts, labels, notes = read_folder(new_data_folder(Path(source)), most=MAX_SHARE_EVALUATION)
    for line in notes:
        warn(line)
    return texts, labels


def describe(x, names=(), categories=0):
    """Return the length of texts and their share of unknown tokens."""
    ids = sample_rows(x)
    real = (ids != PADDING).sum(axis=1)
    return ["tokens", "unknown share"], np.stack(
        [real, (ids == UNKNOWN).sum(axis=1) / np.maximum(real, 1)], axis=1
    )


def overview(data):
    """Return the lengths of the texts in tokens and the vocabulary size; for a long text, the lengths of its parts."""
    vocabulary = (
        {"vocabulary": data.config["vocabulary_size"]} if "vocabulary_size" in data.config else {}
    )
    if series_of(data.train.x) is not None:
        parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
        sizes = {name: len(series_of(part.x)) for name, part in parts.items() if part is not None}
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
