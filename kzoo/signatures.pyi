"""The functions that take options of data, for type checkers: written by `python .ci/signatures.py`."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, overload

import keras
from numpy.typing import ArrayLike

from kzoo.checks.finding import Findings
from kzoo.data import Dataset
from kzoo.data.dataset import Loadable
from kzoo.data.splits import Fold
from kzoo.evaluation.cross_validate import CrossValidation
from kzoo.problems.data_arguments import DateOrder, SplitOrder
from kzoo.tuning.plan import AutoPlan, Plan
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.space import Space
from kzoo.tuning.tune import Tuned
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import Preset
from kzoo.zoo.run import Run

def load_data(
    source: Loadable,
    *,
    preset: str | Preset | None = None,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    clip: bool = False,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    seed: int = 0,
) -> Dataset:
    """Load data from any source, split it and describe it.

    Args:
        source: the name of a data set (`kzoo.data.named.NAMES`); a folder of class folders of images or of `.txt`
            files, or with one `.txt` file per class (one example per line); a folder of images with a table
            `labels.csv` of files and targets; a `.csv` or Parquet table, or a folder of Parquet files; a `.txt` file
            for a language model (tables and texts may be larger than memory); an `.xlsx` workbook, a `.jsonl` file of
            an object per line, a `.csv.gz` or `.zip` file; a pattern such as `data/2024-*.csv` of files with the same
            columns; `sqlite:FILE?TABLE` or `sqlite:FILE?SELECT ...`; an `.npz` file; a pair of arrays (x, y),
            optionally with a weight (N,) for each row, (x, y, weight), or of a DataFrame and its targets: x are rows
            (N, features), images (N, H, W, channels) with pixels 0..255, token ids (N, length) or series (N, steps,
            features); y are labels (N,) of any type or numbers (N,) or (N, targets), and of several labels per row (N,
            labels) of 0, 1 and NaN (unknown); a DataFrame, or any object with `__arrow_c_stream__`, such as a table of
            Polars, DuckDB or pyarrow (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html); a
            list of dicts, a dict of columns, or a list of lists of which the first has the column names; a
            `tf.data.Dataset` of (x, y) or (x, y, weight).
        preset: what the data is for, a name or a `Preset`: it determines how a table is read, the length of texts and
            windows, the size of images, the vocabulary. Without it the source decides.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a
            second source, read as one for `test` is.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.data.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        split: "random", or "time" for a table: the last rows in the order of `time` are the test split, those before
            them the validation split; rows of one moment stay together. A series is always split in order of time.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        clip: clip numeric columns of a table at their 0.1 and 99.9 percentiles (of the training rows).
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        seed: seed of the split into training, validation and test data. The seed of training does not affect it.

    Returns:
        A `Dataset`: its splits, and what the data determines about the network.

    Raises:
        KzooError: the data does not exist, does not fit the preset, or cannot be learned from.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> data.task, data.feature_names
        ('tabular_classification', ('age', 'income', 'plan'))
        >>> kzoo.load_data("photos/").input_shape
        (96, 96, 3)
        >>> x, y = np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 2
        >>> kzoo.load_data((x, y), test=0.3)
        <Dataset arrays: tabular_classification, inputs (4,), outputs 2, 63 / 7 / 30 rows>
    """
    ...

def train(
    preset_or_model: str | Preset | keras.Model,
    data: Loadable | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    max_time: float | str | None = None,
    seed: int = 0,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    weights: Run | str | os.PathLike[str] | keras.Model | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto",
    deterministic: bool = False,
    devices: int | None = None,
    overwrite: bool = False,
    resume: Literal["auto", "must", "never"] = "auto",
    journal_seconds: float = 30.0,
    journal_steps: int | None = None,
    steps_per_call: int | Literal["auto"] = "auto",
    check: bool = True,
    baselines: bool = True,
    progress: bool = True,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    data_seed: int = 0,
    **overrides: Any,
) -> Run:
    """Train a preset or a custom compiled model, and return the run.

    The head is adapted to the data: number of classes or targets, loss and metrics. The weights of the epoch with the
    best validation value are kept; the test split is used once, at the end.

    Args:
        preset_or_model: a preset's name, a `Preset`, or a compiled `keras.Model`. "auto" takes the first suggestion for
            the data (`kzoo.check` lists them), and prints which and why; the run is an ordinary run of that preset.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: the run's folder; the default is `runs/PRESET-NN`. If the folder has the same run, finished, that run is
            returned. Or an address such as "s3://bucket/runs/1": the run is written into the cache and uploaded whole,
            and its state meanwhile, so that the same call resumes it on another machine.
        epochs: number of passes over the training split, instead of the preset's; schedules are adapted.
        max_time: seconds, or a string such as "90s", "5m" or "1h30m", for the whole call, with reading, compiling,
            baselines and scores: a probe of some seconds measures the training, which gets as many epochs (at most its
            usual number) or steps as fit, and schedules of this length. A training that is slower than its probe is
            stopped in time. A resumed run keeps the epochs that were chosen.
        seed: seed of weights, order, dropout and augmentation.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        weights: initial weights, copied layer by layer from a run, an exported model, a `.keras` or `.weights.h5` file
            or a model; from "hub:PLACE/NAME@REVISION" or an address such as "s3://bucket/runs/1"; or pretrained weights
            of this preset by their name (`kzoo show PRESET` lists them); "imagenet" downloads those of a backbone, and
            "efficientnet_lite0" are those of the extra `kzoo[image]`, the default of image_pretrained where it is
            installed. They are matched by the names of words, classes, columns and categories; those of files that are
            not a run's, by position.
        freeze: layers to freeze: one or several glob patterns of layer names, or True for all copied layers.
        precision: "float32", "mixed_bfloat16" or "mixed_float16". "auto" is the preset's if the device supports it
            (else a note is printed), and depends on the device if the preset has none. Saved models are in float32. A
            custom model computes in the precision that it was built with.
        deterministic: replace or refuse operations whose results differ from run to run, which is rare on a CPU and
            common on a GPU; slower. With TensorFlow it then applies to the whole process.
        devices: number of local devices that share each batch (JAX only); the same number gives the same bits. An
            incomplete batch at the end of an epoch is skipped.
        overwrite: replace a different run in `out`.
        resume: "auto" resumes the same run, bit for bit, if it was stopped in `out` (with `out=None`: in the newest of
            `runs/PRESET-NN`); "must" does so or raises; "never" starts over.
        journal_seconds: minimum seconds between two journals inside an epoch. There is also one after each epoch, but
            journals take at most one percent of the time.
        journal_steps: write a journal after this many steps and after each epoch instead, whatever it costs.
        steps_per_call: maximum number of steps per compiled call. "auto" makes calls of about a quarter of a second,
            if network, data and backend allow it (TensorFlow and JAX; arrays in memory, not augmented), which speeds up
            small networks; 1 uses Keras' own step, whose results differ by rounding. If a custom callback has batch
            hooks, "auto" makes single steps.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a
            second source, read as one for `test` is.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.data.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        split: "random", or "time" for a table: the last rows in the order of `time` are the test split, those before
            them the validation split; rows of one moment stay together. A series is always split in order of time.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        data_seed: seed of the split into training, validation and test data. The seed of training does not affect it.
        check: run the quick checks of `kzoo.check` first; an error is raised, a warning is printed.
        baselines: also score baselines on the same split (`kzoo.baselines`), for about five seconds each, or two
            percent of the training time. Baselines that would take longer are fitted on fewer rows, and note it.
        progress: False prints nothing; findings of the checks are then warnings (`KzooWarning`).
        overrides: any setting in the preset's `config` or `training`.

    Raises:
        KzooError: anything that is wrong before the first epoch; nothing has been written then.
        Interrupted: Ctrl-C; the current step was finished and everything written. Its `run` is the run so far, which is
            returned in a notebook. SIGTERM has the same effect, and ends the process with exit code 143.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> run.summary["test"]["examples"], run.summary["test"]["accuracy"] > 0.5
        (30, True)
        >>> kzoo.predict(run, np.array([[5.1, 3.5, 1.4, 0.2]])).labels
        ['setosa']

        A table of your own, and settings of the preset:

        >>> run = kzoo.train(
        ...     "tabular_fnn", "churn.csv", target="churned", dropout=0.2, epochs=2
        ... )
    """
    ...

def fit_arguments(
    model: keras.Model,
    data: Loadable | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    baselines: bool = True,
    progress: bool = True,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    data_seed: int = 0,
    **overrides: Any,
) -> JsonObject:
    """Return the arguments with which Keras' own `fit` trains like `kzoo.train`.

    They result in the same weights as `kzoo.train(preset, data, steps_per_call=1)`, bit for bit. The arguments contain
    batches (whose order and augmentation are a function of seed and epoch), validation data, epochs, the callback
    bundle and class weights; labels have the format that the loss needs. Only `train` has checks before the first
    epoch, resuming, signal handling, and many steps in one call.

    A model from `kzoo.build` is compiled again with a new optimizer, because learning-rate schedules need the number of
    steps. A model that you have compiled yourself is not compiled again.

    Args:
        model: from `kzoo.build`, or any compiled `keras.Model`. A network whose last layer is "unscale" is trained
            below it, on standardised targets: pass `keras.Model(model.input, model.get_layer("unscale").input)` here,
            and fit that; `model` shares its weights. A network with `members` needs `kzoo.train`.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: folder for a run, which `fit` writes, for `kzoo.predict`, `report`, `export` and the others. The default
            writes nothing.
        epochs: number of passes over the training split, instead of the preset's; schedules are adapted.
        seed: seed of order and augmentation; the default is the one that the model was built with, else 0.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a
            second source, read as one for `test` is.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.data.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        split: "random", or "time" for a table: the last rows in the order of `time` are the test split, those before
            them the validation split; rows of one moment stay together. A series is always split in order of time.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        data_seed: seed of the split into training, validation and test data. The seed of training does not affect it.
        baselines: also score baselines for comparison with the run in `out`, as `kzoo.train` does.
        progress: False prints no notes. The output of `fit` itself depends on its `verbose`.
        overrides: training settings, named as in `kzoo.build`; those of the network cannot be changed any more.

    Returns:
        x, validation_data, epochs, callbacks, class_weight and shuffle, for a single `fit` of this model.

    Raises:
        KzooError: the model was not built for this data, `out` has a run, or plain `fit` does not support a setting.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> model = kzoo.build("tabular_fnn", data=data, seed=0)
        >>> arguments = kzoo.fit_arguments(model, data, out="runs/mine", epochs=2)
        >>> sorted(arguments)
        ['callbacks', 'class_weight', 'epochs', 'shuffle', 'validation_data', 'x']
        >>> history = model.fit(**arguments, verbose=0)
        >>> kzoo.Run("runs/mine").finished
        True
    """
    ...

@overload
def tune(
    preset_or_build: Tuned,
    data: Loadable | None = None,
    *,
    dry_run: Literal[True],
    seed: int = 0,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    data_seed: int = 0,
    **options: Any,
) -> Plan | AutoPlan: ...
@overload
def tune(
    preset_or_build: Tuned,
    data: Loadable | None = None,
    *,
    engine: str = "auto",
    trials: int = 20,
    epochs: int | None = None,
    max_time: float | str | None = None,
    space: str | Space = "standard",
    objective: str | None = None,
    baseline: bool = True,
    prune: Literal["median"] | None = "median",
    folds: int | None = None,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    weights: str | os.PathLike[str] | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: Literal["auto", "must", "never"] = "auto",
    dry_run: Literal[False] = False,
    previous: Run | str | os.PathLike[str] | None = None,
    prefer: Literal["simple", "score"] = "simple",
    one_network: bool = False,
    progress: bool = True,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    data_seed: int = 0,
    **overrides: Any,
) -> Search:
    """Search for better hyperparameters of a preset or a build function, and return the `Search`.

    Trial 0 is the preset itself, or the function's defaults. No point is repeated, and the test split is never used.
    Each trial is trained as by `kzoo.train`, in a separate process; its score is that of its best epoch. A search that
    was stopped or killed continues when the call is repeated; with more `trials`, it is extended.

    The hyperparameters of a function are discovered by calling it: a few dozen models are built and discarded.
    Conditional hyperparameters are found too; if one depends on a combination of several values, request it
    unconditionally or in a HyperModel's `declare_hyperparameters`. One named batch_size, class_weight or patience sets
    that training setting; `epochs` is not searched. A search is identified by the function's hyperparameters, defaults
    and source, not by what the function calls or reads elsewhere. A function of a module is trained in a separate
    process; one of a script or a notebook, or a lambda, in this process, which cannot free the memory of trials.

    Args:
        preset_or_build: a preset's name, a `Preset`, a function `build(hp)` that returns a compiled model, or a
            `keras_tuner.HyperModel` without its own `fit`. "auto" compares baselines and presets on folds, and chooses
            the simplest model that is not worse than the best: `Search.winner`, with its lead as `Search.verdict`. It
            takes `max_time` (by default ten minutes), `objective`, `folds`, `previous`, `prefer`, `one_network`,
            `parallel`, `threads`, `executor`, `seed`, `out`, `resume`, `dry_run`, the data options, and for series
            `horizon` and `input_shape` (steps of a window), and refuses the other arguments.
        data: anything `kzoo.load_data` takes; the default is the preset's data set.
        engine: "bayesian" (a Gaussian process, https://arxiv.org/abs/1206.2944), "grid", "hyperband"
            (https://arxiv.org/abs/1603.06560), "optuna" (TPE,
            https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization, needs `kzoo[optuna]`),
            "random"; "auto" uses the grid if the space has at most `trials` points, otherwise bayesian.
        trials: number of trials, including the preset. Hyperband computes its own number from `epochs`.
        epochs: of each trial, instead of the preset's; schedules are scaled to it. For a function the default is 10.
        max_time: seconds, or "90s", "30m", "2h": no training step starts after it.
        space: "quick", "standard" or "full", or a `Space` (see `kzoo.space`); for presets only.
        objective: a score of the whole validation split, such as "f1", "auc" or "recall@precision=0.9"; a function
            with its direction, `kzoo.objective(function)`; or a metric that Keras reports, such as "val_accuracy" or
            "val_loss". The default is the primary score for labels, counts and quantiles, and else the first metric;
            for "auto" the AUC of tables with two classes, else the primary score. For a custom metric
            a pair, such as ("val_gain", "max").
        baseline: whether trial 0 is the preset.
        prune: "median" stops a trial that is worse than half of the others at the same epoch, once three have ended
            (https://doi.org/10.1145/3097983.3098043); None disables it. Hyperband stops trials in its own way.
        folds: score each trial by cross-validation over this many folds of the training and validation rows.
        parallel: number of concurrent trials. The proposals depend on it, but not on which worker trains, its speed or
            its failures. Ctrl-C stops all trials.
        threads: threads of each trial's training; None is one with `parallel`, otherwise Keras' default. Weights depend
            on it in their last bits, so it is part of the search.
        executor: trains in its processes instead of local ones: any `concurrent.futures.Executor`, such as
            `dask.distributed.Client(...).get_executor()`. They need kzoo and the backend, but no shared folder. After
            Ctrl-C, running trials are trained again when the call is repeated.
        weights: initial weights of every trial, as in `kzoo.train`: a run, a file or the name of stored weights. They
            determine the network: layers and widths are not searched.
        freeze: layers that stay frozen in every trial; see `kzoo.train`.
        seed: of the proposals; trial n is trained with the seed `seed + n`.
        out: the search's folder; the default is `searches/NAME-NN`.
        resume: "auto" continues the same search in `out`; "must" continues it or raises, "never" starts over.
        dry_run: return the `Plan` (numbers of trials and epochs, sizes, estimated time) and write nothing.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a
            second source, read as one for `test` is.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.data.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        split: "random", or "time" for a table: the last rows in the order of `time` are the test split, those before
            them the validation split; rows of one moment stay together. A series is always split in order of time.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        data_seed: seed of the split into training, validation and test data. The seed of training does not affect it.
        previous: for "auto", an earlier run. Options of its data are taken where none are set, and the winner is
            compared with it on the same test rows.
        prefer: for "auto": "simple" chooses the simplest kind of model that ties with the highest score, "score" the
            model with the highest score.
        one_network: for "auto": if the choice is a mean of models, train a single network, of classes on the answers of
            the mean (distillation, https://arxiv.org/abs/1503.02531), and return that.
        progress: False to print nothing.
        overrides: settings of the preset, which are fixed and not searched; for a function, training settings as for a
            custom model in `kzoo.train`.

    Returns:
        The `Search`; with `dry_run`, the `Plan`.

    Raises:
        KzooError: an invalid argument, raised before the first trial; or no trial succeeded, with the causes.
        Interrupted: Ctrl-C; its `run` is the `Search`, which is returned instead in a notebook.

    Examples:
        >>> search = kzoo.tune("iris_fnn", "iris", trials=4, epochs=5, out="searches/iris")
        >>> len(search.trials), search.finished
        (4, True)
        >>> run = search.retrain(out="runs/best")
        >>> run.summary["test"]["examples"]
        30

        A function that builds a model:

        >>> import keras
        >>> def build(hp):
        ...     units = hp.Int("units", 8, 32, step=8)
        ...     layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(3)]
        ...     model = keras.Sequential([keras.Input((4,)), *layers])
        ...     rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
        ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        ...     model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        ...     return model
        >>> search = kzoo.tune(build, "iris", trials=2, epochs=2, out="searches/mine")
        >>> sorted(search.best_config())
        ['rate', 'units']
    """
    ...

def check(
    preset_or_model_or_run: str
    | os.PathLike[str]
    | Preset
    | keras.Model
    | Run
    | Loadable
    | None = None,
    data: Loadable | None = None,
    *,
    deep: bool = True,
    seed: int = 0,
    weights: Run | str | os.PathLike[str] | keras.Model | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto",
    epochs: int | None = None,
    wrong_labels: bool = False,
    learning_curve: bool = False,
    retrain: bool = False,
    folds: int = 5,
    out: str | os.PathLike[str] | None = None,
    parallel: int = 1,
    progress: bool = True,
    target: str | Sequence[str] | None = None,
    validation: float | Loadable = 0.1,
    test: float | Fold | Loadable | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    split: SplitOrder = "random",
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    data_seed: int = 0,
    **overrides: Any,
) -> Findings:
    """Find problems before training, or find how new data differs from a run's training data.

    For data alone, as in `kzoo.check("churn.csv", target="churned")`, baselines are scored as well, and suitable
    presets are suggested.

    Args:
        preset_or_model_or_run: what `kzoo.train` takes: the name of a preset, a `Preset` or your own compiled model. Or
            a run or its path. Or the folder that a callback bundle wrote: then its data and network are checked.
        data: what `kzoo.train` takes. A pair of arrays for your own model is checked as `model.fit` would get it. With
            a run: new data, labelled or not, which is compared with the run's training data; without it, the run's own
            data and settings are checked.
        deep: also run the checks that take gradient steps, which need some seconds; `kzoo.train` runs all others.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a
            second source, read as one for `test` is.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.data.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        split: "random", or "time" for a table: the last rows in the order of `time` are the test split, those before
            them the validation split; rows of one moment stay together. A series is always split in order of time.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        data_seed: seed of the split into training, validation and test data. The seed of training does not affect it.
        seed, weights, freeze, precision, epochs, overrides: see `kzoo.train`.
        wrong_labels: instead of the other checks, train the preset on `folds` folds and list the labels that they and
            the neighbours of a row contradict (confident learning, https://doi.org/10.1613/jair.1.12125). Write
            `suspects.csv` and `suspects.html` into `out`. With a run, pass the data that it was trained on, unless that
            is a named data set.
        learning_curve: instead of the other checks, train the preset three times on each of six numbers of training
            rows, and forecast its score with up to four times today's rows by a power law
            (https://arxiv.org/abs/1712.00409). Write the result of each training and `learning_curve.png` into `out`.
        retrain: instead of the other checks, repeat the training of a run by its recorded command in a fresh process,
            and compare the weights bit by bit. `data` is then the path of the run's data, if it is not where the
            command names it. The result is stored in the run's folder.
        folds: number of folds of `wrong_labels`.
        out: the folder of these two; the default is `runs/wrong-labels-PRESET` or `runs/learning-curve-PRESET`. The
            same call continues where it was stopped. With `retrain`, a new folder to keep the repeated run in.
        parallel: number of their trainings at once, in processes of their own.
        progress: print a line for each of their trainings.

    Returns:
        A list of findings (`kzoo.checks.Finding`), errors first, with the fields check, level, what, where, why and
        fix. It is empty if nothing was found. The attribute `overview` summarises how each column was read, as plain
        data. For data alone, `baselines` has the baselines scored on the validation split (the test split is not used),
        `suggested_baseline` one to try before any preset (of forecasts; None without one), and `presets` the suggested
        presets in the order to try them (see `kzoo.zoo.results.suggest.order`). `suspects`
        and `learning_curve` are the results of the two searches (`kzoo.evaluation.wrong_labels.WrongLabels` and
        `kzoo.evaluation.learning_curve.LearningCurve`), and `retraining` that of a repeated training
        (`kzoo.evaluation.retrain.Retraining`).

    Raises:
        KzooError: arguments or data that `kzoo.train` or `kzoo.evaluate` refuses.

    Examples:
        >>> findings = kzoo.check("churn.csv", target="churned")
        >>> [(finding.level, finding.check) for finding in findings]
        []
        >>> findings.presets[0]["preset"]
        'tabular_tabm'
        >>> kzoo.check("iris_fnn", "iris")
        No problems found.
    """
    ...

def cross_validate(
    preset: str | Preset,
    data: Loadable | None = None,
    *,
    folds: int = 5,
    stratified: bool = True,
    repeats: int = 1,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    validation: float = 0.1,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: bool = True,
    target: str | Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    sample_weight: str | ArrayLike | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    drop_rare: int | None = None,
    calibration: float | Loadable | None = None,
    repairs: Any = None,
    series_id: str | Sequence[str] | None = None,
    segment: int | None = None,
    stride: int | None = None,
    known_covariates: str | Sequence[str] | None = None,
    static_covariates: str | Sequence[str] | None = None,
    date_order: DateOrder | None = None,
    quantiles: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
    **overrides: Any,
) -> CrossValidation:
    """Train a preset once for each fold of the data, and score it on that fold.

    Each fold is a run of `kzoo.train` with a new network. Vocabulary, categories and scaling are learned on its
    training rows only, and early stopping monitors a part of these, so that nothing leaks from the fold that is scored.
    A test split that the source brings (`mnist`, a `test/` folder) is not used.

    The same call continues where it was stopped: finished folds are not trained again.

    Args:
        preset: the name of a preset, or a `Preset`.
        data: anything `kzoo.load_data` takes, other than a long text; the default is the preset's own data set. Series
            to forecast are cut in order of time: the last parts are the folds, and each network is trained on the rows
            before its fold (the `TimeSeriesSplit` of scikit-learn), so that none has seen the future.
        folds: number of folds; each is the test split once.
        stratified: keep the proportions of the classes in each fold, as scikit-learn's `StratifiedKFold` does; of
            labels, of each label (iterative stratification, https://doi.org/10.1007/978-3-642-23808-6_10).
        repeats: how often to divide the data again; repeat r uses `seed + r` for the folds and the weights.
        seed: of the folds, the weights, order, dropout and augmentation.
        out: the folder, with a run in `fold-01`, `fold-02`, ...; the default is `runs/cross-PRESET`.
        epochs, callbacks: see `kzoo.train`.
        validation: fraction of the rows outside the fold, used to choose the best epoch.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name is
            literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a
            row has any number of them.
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a
            table whose target is text, boolean, or integers with at most 20 different values is a classification, else
            a regression. In arrays of images and token ids, integers are classes, and numbers with fractions are
            values.
        time: time column of a series; the first column of dates by default. With `split="time"`, the column of dates or
            numbers that orders a table; it stays an input unless `drop` excludes it.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of
            how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        sample_weight: how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which
            is no input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of
            weight 0 is not learned from, but stays in validation and test splits.
        sheet: name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each
            is read at this sheet.
        header_row: number of the row of the sheet with the column names, from 1; by default the first with cells.
        drop_rare: leave out the rows of classes of a table that have fewer than this number of rows, from the training,
            validation and test rows alike; a note counts them.
        calibration: rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of
            `kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. None:
            these are learned on the validation rows, and their promise is approximate. In order of time, drawn rows lie
            between validation and test rows.
        repairs: the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column
            `accept` says yes get the label of the column `suggestion`, in the training and validation split. Test rows
            keep theirs. A row that is not the one that was checked is an error.
        series_id: columns that tell series apart, in a table with a row per step. Unless the preset or the task
            decides, numbers that change within a series are forecast, and a target that is constant within each series,
            or not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of
            folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of different
            lengths are padded and masked.
        segment: cut series into segments of this many steps, each an example; those of a series stay in one split.
        stride: steps from one segment to the next; `segment` by default.
        known_covariates: columns of a table of many series whose values are known for the steps to forecast, such as
            promotions. Rows without a target at the end of a series have them.
        static_covariates: columns of such a table that are constant within a series, such as a region.
        date_order: "day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12
            decide for each column, or the only order that gives a regular step. A series whose order nothing decides is
            refused; in a table, such dates are read month first, with a note. New rows are read as training was.
        quantiles: levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two,
            ascending, between 0 and 1. The task is then `"quantiles"`.
        order: classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is
            then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their own
            order.
        parallel, threads, executor: how many folds are trained at once, and where, as in `kzoo.tune`; the last digits
            of scores depend on `threads`, but not on where folds are trained.
        overwrite: replace all other folds in `out`.
        progress: print the notes of `kzoo.train` for the first fold, and a line per fold. With False, only findings of
            the checks are shown, as warnings (`KzooWarning`).
        overrides: any other name that `kzoo.train` takes.

    Returns:
        A dict, printed as a table: `folds`, a dict of scores for each fold; `mean` and `std` (n - 1) of every score
        over the folds, also per target as `targets` and per baseline that all folds have as `baselines`; `out_of_fold`:
        `rows` (indices among the usable rows of the source), `truth` and `answers` (probabilities or values, averaged
        over the repeats); `runs`, their paths. They are also written to `out` as `cross_validation.json` and
        `out_of_fold.npz`.

    Raises:
        KzooError: a long text, more folds than rows of a class, or anything that `kzoo.train`
            refuses.

    Examples:
        >>> scores = kzoo.cross_validate("iris_fnn", "iris", folds=3, epochs=5)
        >>> len(scores["folds"]), scores["mean"]["accuracy"] > 0.3
        (3, True)
        >>> scores["out_of_fold"]["answers"].shape
        (150, 3)
    """
    ...
