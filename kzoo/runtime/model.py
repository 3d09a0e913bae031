"""`load` opens a file of an exported model; `Model.predict` returns its predictions for raw inputs."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kzoo.export.format import Session, in_batches
from kzoo.export.formats import formats
from kzoo.export.sandbox import check_cost
from kzoo.inference.encode import (
    Encoded,
    Inputs,
    adaptive_band_of,
    check_token_ids,
    encode_named,
    local_inputs,
    predictions_of,
    to_predictions,
)
from kzoo.inference.explanations.explanation import Explanation
from kzoo.inference.explanations.inputs import (
    TYPICAL,
    Subject,
    explain_rows,
    explain_texts,
    first_inputs,
)
from kzoo.inference.exported import MANIFEST, ExportedModel, Manifest, is_inside
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import ANSWERS, Predictions, probabilities
from kzoo.inference.sources.arrays import all_finite, as_array, check_count
from kzoo.inference.sources.unreadable import MAX_SHARE_EVALUATION
from kzoo.problems import kinds
from kzoo.problems.tasks import Target, problem, problem_for
from kzoo.utils.argument_checks import checked_arguments, checked_count, checked_seed
from kzoo.utils.deprecation import deprecated
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import JsonObject, check_regular
from kzoo.utils.formatting import hint, length_of, plural
from kzoo.utils.memory import rows_that_fit
from kzoo.utils.optional import require
from kzoo.utils.table_path import check_sheet, with_sheet

if TYPE_CHECKING:
    from kzoo.inference.kinds.rows.pieces import PieceEncoder
    from kzoo.inference.kinds.text.generation import Generation
    from kzoo.inference.tables.arrow import TablePieces

_EXPLAINING = 20_000  # predictions for the explanation of a row of more than 12 columns


@checked_arguments
def load(
    exported: ExportedModel | str | os.PathLike[str],
    format: str | None = None,
    *,
    threads: int | None = None,
) -> "Model":
    """Open an exported model for predictions without Keras.

    Args:
        exported: an `ExportedModel`, the path of its folder, "hub:PLACE/NAME@REVISION", or an address such as
            "s3://bucket/models/1".
        format: the file to run, such as "onnx_int8"; by default the first of "onnx" and "litert" that was
            exported and whose runtime is installed.
        threads: number of threads per prediction; by default one per core.

    Returns:
        A `Model`, whose `predict` takes raw inputs.

    Raises:
        KzooError: not an exported model, an altered or missing file, or a runtime that is not installed; the message
            contains the `pip install` command.

    Examples:
        >>> import kzoo.runtime
        >>> model = kzoo.runtime.load("exports/iris")
        >>> model.predict(np.array([[5.1, 3.5, 1.4, 0.2]])).labels
        ['setosa']
    """
    threads = None if threads is None else checked_count("threads", threads)
    exported = exported if isinstance(exported, ExportedModel) else ExportedModel(exported)
    manifest = _checked_manifest(exported)
    key = chosen(exported, format)
    entry = manifest.exports[key]
    file_format = formats()[entry.format]
    for package in file_format.packages:
        require(package, extra=file_format.extra)
    content = _read(exported, entry.file)
    name = f"{exported.path.name}/{key}"
    (input_spec,) = manifest.inputs
    check_cost(
        content, entry.format, name=name, shape=input_spec["shape"][1:], dtype=input_spec["dtype"]
    )
    session = file_format.open(content, name=name, threads=threads)
    model = Model(manifest, key, session)
    model._opened = (os.path.abspath(exported.path), key, threads, manifest.checksum)
    return model


@lru_cache(maxsize=4)
def _reopen(path: str, format: str, threads: int | None, checksum: str) -> "Model":
    """Open the export of a pickled model, once in a process.

    Raises:
        KzooError: it is not there, or is another one.
    """
    exported = ExportedModel(path)
    if exported.manifest.checksum != checksum:
        raise KzooError(
            f"{exported.path} was changed since the model was pickled. Call kzoo.runtime.load again, and pickle that "
            "model."
        )
    return load(exported, format, threads=threads)


class Model:
    """An open exported model, created by `load`.

    Most users need `predict` only. A server calls its steps one by one, to run the rows of several requests in one
    batch: `receive` or `tensor`, then `run`, `check` and `predictions`.

    A model that `load` opened can be pickled, so that it works in functions for the parts of a table, such as Dask's
    `map_partitions`. The pickle has the path of the export and a checksum. Where it is unpickled, the export is opened,
    once in each process, and refused if it was changed.

    Args:
        manifest: content of `kzoo.json`.
        format: key of the open file, such as "onnx".
        session: the open file; see `kzoo.export.format.Format`.

    Examples:
        >>> model = kzoo.runtime.load("exports/iris")
        >>> flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
        >>> model.predict(flowers, confidence=0.8).to_frame().shape
        (2, 6)
        >>> explanation = model.explain(flowers)

        The steps of `predict`, as a server calls them:

        >>> encoded = model.receive(flowers.tolist())
        >>> outputs = model.check(model.run(encoded.x))
        >>> outputs.shape, model.predictions(encoded, outputs).labels
        ((2, 3), ['setosa', 'virginica'])

        A copy in another process is opened from the same folder:

        >>> import pickle
        >>> pickle.loads(pickle.dumps(model)).predict(flowers).labels
        ['setosa', 'virginica']
    """

    # what `load` opened: path, format, threads and checksum of the manifest; None for other models
    _opened: tuple[str, str, int | None, str] | None = None

    def __init__(self, manifest: Manifest, format: str, session: Session) -> None:
        self.name = manifest.name
        self.format = format
        self._session = session
        (input_spec,), (output_spec,) = manifest.inputs, manifest.outputs
        self.inputs, self.outputs = input_spec["name"], output_spec["name"]
        self._preprocessing = manifest.preprocessing or kinds.array_preprocessor(
            input_spec["name"], input_spec["shape"][1:]
        )
        self._postprocessing = manifest.postprocessing
        self._kind = output_spec["kind"]
        # Custom models have no task; it follows from the kind of their outputs.
        task = manifest.spec["task"]
        target_fact = "values" if output_spec["kind"] == "values" else "classes"
        self._problem = (
            problem_for(input_spec["name"], target_fact) if task is None else problem(task)
        )
        classes = tuple(manifest.labels)
        outputs = output_spec["shape"][-1]
        if not classes and self._problem.classes_of(classes) is not None:
            classes = tuple(str(number) for number in range(2 if outputs == 1 else outputs))
        self._target = Target(
            names=tuple(manifest.targets), classes=classes, config=manifest.spec.get("config") or {}
        )
        self.shape = tuple(input_spec["shape"][1:])
        self._manifest = manifest

    def __reduce__(self) -> tuple[Callable[..., "Model"], tuple[str, str, int | None, str]]:
        if self._opened is None:
            raise KzooError(
                f"{self!r} cannot be pickled: it was not opened by kzoo.runtime.load. Open its folder with that."
            )
        return _reopen, self._opened

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.format}, takes {self.inputs}>"

    @property
    def continues(self) -> bool:
        """Whether it is a language model, which continues texts."""
        return self._problem.continues_inputs

    @short_errors
    def predict(
        self,
        inputs: "Inputs",
        *,
        batch_size: int = 128,
        keep: str | Sequence[str] = (),
        sheet: str | None = None,
        header_row: int | None = None,
        confidence: float | None = None,
        conformal: Literal["lac", "raps", "class"] | None = None,
        min_probability: float | None = None,
        accuracy_when_answered: float | None = None,
        samples: int | None = None,
        total: Literal["series", "steps", "all"] | None = None,
        seed: int | None = None,
    ) -> Predictions:
        """Return predictions for raw inputs, as `kzoo.predict` does.

        Args:
            inputs: image files, a folder of images, or image arrays (pixels 0..255); a CSV file, dicts or a DataFrame;
                strings; the last rows of a series; or an array of the model's input shape.
            batch_size: examples per batch; predictions do not depend on it.
            keep: columns of a table that the predictions carry, such as an id.
            sheet, header_row: where the table is in an `.xlsx` workbook (see `kzoo.load_data`), which needs openpyxl.
            confidence, conformal, min_probability, accuracy_when_answered, samples, total, seed: see `kzoo.predict`.

        Returns:
            `Predictions`: labels and probabilities (N, classes), or values in the unit of the target.

        Raises:
            KzooError: an input cannot be read or does not fit the model, or a promise that the model cannot make.
        """
        options = PredictionOptions(
            confidence=confidence,
            conformal=conformal,
            min_probability=min_probability,
            accuracy_when_answered=accuracy_when_answered,
            samples=samples,
            total=total,
            seed=seed,
        )
        self.check_options(options)
        batch_size = checked_count("batch_size", batch_size)
        inputs = with_sheet(
            local_inputs(kinds.kind_of(self._preprocessing), inputs), sheet, header_row
        )
        check_sheet(inputs, sheet, header_row)
        encoded = self._check_ids(encode_named(self._preprocessing, inputs, keep=keep))
        band = adaptive_band_of(
            self._problem,
            self._target,
            lambda x: self.run(x, batch_size),
            encoded,
            self._preprocessing,
            postprocessing=self._postprocessing,
            options=options,
        )
        return self.predictions(encoded, self.check(self.run(encoded.x, batch_size)), options, band)

    def check_options(self, options: PredictionOptions) -> None:
        """Check that predictions can have the sets, intervals and abstention that are asked.

        Args:
            options: the options of `predict` that ask for them.

        Raises:
            KzooError: another kind of predictions, or an export without what a promise is made from.
        """
        Postprocessor.read(self._postprocessing).check(options, self._problem)

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """Continue a text with a language model, as `kzoo.generate` does, and return the whole text.

        Exported models keep no state: each token is predicted from the last window, also where `kzoo.generate` lets a
        recurrent model keep its state over the whole text.

        Args:
            prompt: the beginning of the text.
            length: number of characters or words to add.
            temperature: 1 samples from the model's own probabilities; 0 always takes the likeliest token.
            top_k: sample from this many of the likeliest tokens; None: from all.
            top_p: sample from the likeliest tokens that together have this share of the probability; None: from all.
            seed: of the sampling: the same seed gives the same text.

        Raises:
            KzooError: not a language model, a value out of range, or a prompt without a known token.
        """
        settings = dict(length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        return prompt + "".join(self.stream(prompt, **settings))

    def stream(self, prompt: str = "", **settings: Any) -> Iterator[str]:
        """Return an iterator over the texts that each token adds to a prompt.

        Args:
            prompt: the beginning of the text.
            settings: those of `generate`.

        Raises:
            KzooError: see `generate`.
        """
        generation = self.generation(prompt, **settings)
        return (
            self.next_token(generation, self.run(generation.window()))
            for _ in range(generation.sampling.length)
        )

    def generation(self, prompt: str, **settings: Any) -> "Generation":
        """Return a text to continue, step by step: a server runs its `window` and passes the outputs to `next_token`.

        Args:
            prompt: the beginning of the text.
            settings: those of `generate`.

        Raises:
            KzooError: see `generate`.
        """
        if not self.continues:
            raise KzooError(
                f"{self.name} is not a language model, so it cannot continue a text. Use predict."
            )
        module = import_module("kzoo.inference.kinds.text.generation")
        return module.Generation(self._preprocessing, prompt, module.Sampling(**settings))

    def next_token(self, generation: "Generation", outputs: np.ndarray) -> str:
        """Sample the next token of a text from the outputs for its `window`, and return the text that it adds.

        Args:
            generation: the text, from `generation`.
            outputs: outputs (1, ...) of the network for its `window`.

        Raises:
            KzooError: an output is NaN or infinite.
        """
        outputs = generation.last_step(self.check(outputs))
        return generation.add(probabilities(outputs[None], ANSWERS.get(self._kind))[0])

    @property
    def explains(self) -> bool:
        """Whether its predictions can be explained: those for rows of a table and for texts."""
        return is_explained(self._manifest)

    @short_errors
    def explain(
        self,
        inputs: "Inputs",
        *,
        of: str | None = None,
        seed: int = 0,
        sheet: str | None = None,
        header_row: int | None = None,
    ) -> Explanation:
        """Return why the model predicts a number for some inputs, at most 10, as `kzoo.explain` does.

        An export contains no training rows: rows of a table are compared with a single row of medians and most frequent
        categories, so that the amounts differ from those of `kzoo.explain` with the training data.

        Args:
            inputs: rows of a table or texts, as `predict` takes them.
            of: the class, label, target or quantile to explain; the default is the predicted one.
            seed: of the sampling, for more than 12 columns.
            sheet, header_row: where the table is in an `.xlsx` workbook.

        Raises:
            KzooError: other kinds of input, an export without statistics of the training rows, or inputs that do not
                fit the model.
        """
        seed = checked_seed("seed", seed)
        inputs = with_sheet(
            local_inputs(kinds.kind_of(self._preprocessing), inputs), sheet, header_row
        )
        check_sheet(inputs, sheet, header_row)
        self._check_explained()
        return self.explanation(
            self._check_ids(encode_named(self._preprocessing, inputs)), of=of, seed=seed
        )

    def explanation(
        self,
        encoded: Encoded,
        *,
        of: str | None = None,
        seed: int = 0,
        run: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Explanation:
        """Return the explanation of encoded inputs.

        Args:
            encoded: the inputs.
            of, seed: see `explain`.
            run: function from encoded rows (N, ...) to outputs (N, ...) of the network, in place of `run`.

        Raises:
            KzooError: see `explain`.
        """
        self._check_explained()
        outputs_of = run or self.run
        subject = Subject(
            name=self.name,
            reader=self._preprocessing,
            config=self._target.config,
            feature_names=(),
            predictions=lambda x: predictions_of(
                self._problem,
                self._target,
                self.check(outputs_of(x)),
                self._preprocessing,
                Postprocessor.read(self._postprocessing),
                logits=ANSWERS.get(self._kind),
            ),
        )
        count = first_inputs(len(encoded.x))
        typical = typical_row(self._manifest)
        if typical is None:
            texts = kinds.kind_of(self._preprocessing).inference.texts_of(
                self._preprocessing, encoded.raw
            )
            return explain_texts(subject, texts[:count], of=of)
        return explain_rows(
            subject,
            encoded.x[:count],
            list(encoded.names)[:count],
            typical[None],
            of=of,
            rows=TYPICAL,
            seed=seed,
            most=_EXPLAINING,
        )

    def _check_explained(self) -> None:
        if not self.explains:
            raise KzooError(
                f"{self.name} cannot be explained without Keras: only tables and texts can, with a kzoo.json that has "
                "statistics of the training rows. Export again, or use kzoo.explain with the run."
            )

    def receive(
        self, inputs: "Inputs", max_rows: int | None = None, keep: str | Sequence[str] = ()
    ) -> Encoded:
        """Encode raw inputs from an untrusted source: strings are never interpreted as file paths.

        Args:
            inputs: JSON data, with `bytes` as the content of files; see `received` in `kzoo.problems.kinds`.
            max_rows: largest number of inputs; by default no limit.
            keep: columns of a table that the predictions carry.

        Returns:
            The inputs as rows `x` (N, ...) of the network, with their names.

        Raises:
            KzooError: an input cannot be read or does not fit the model, or too many inputs.
        """
        inference = kinds.kind_of(self._preprocessing).inference
        if kinds.takes_ready_arrays(self._preprocessing) or not hasattr(inference, "received"):
            if length_of(keep) != 0:
                raise KzooError(
                    f"names columns of a table, and {self.name} takes arrays. Remove it.",
                    argument="keep",
                    value=keep,
                )
            return self.tensor(inputs, max_rows)
        raw = inference.received(self._preprocessing, inputs, max_rows)
        return self._check_ids(
            encode_named(self._preprocessing, raw, most=MAX_SHARE_EVALUATION, keep=keep)
        )

    def tensor(self, inputs: "Inputs", max_rows: int | None = None) -> Encoded:
        """Encode arrays, or nested lists, of the network's input shape.

        Args:
            inputs: (N, ...) numbers.
            max_rows: largest number of inputs; by default no limit.

        Returns:
            The inputs as rows `x` (N, ...) of the network, with their numbers.

        Raises:
            KzooError: another shape, not numbers, NaN, or values outside the valid range of the network.
        """
        encoded = encode_named(
            kinds.array_preprocessor(self.inputs, self.shape), as_array(inputs, "Inputs")
        )
        check_count(len(encoded.x), max_rows)
        inference = kinds.kind_of(self._preprocessing).inference
        if not kinds.takes_ready_arrays(self._preprocessing) and hasattr(inference, "check"):
            inference.check(self._preprocessing, encoded.x)
        return self._check_ids(encoded)

    @property
    def checksum(self) -> str:
        """The sha256 of `kzoo.json`, with the checksums of all files: another export has another one."""
        return self._manifest.checksum

    @property
    def reads_pieces(self) -> bool:
        """Whether it predicts the rows of a table one by one, so that a table can be read in pieces."""
        return not kinds.takes_ready_arrays(self._preprocessing) and hasattr(
            kinds.kind_of(self._preprocessing).inference, "piece_encoder"
        )

    def piece_encoder(self, pieces: "TablePieces", keep: Sequence[str] = ()) -> "PieceEncoder":
        """Return the encoder of a table that is read in pieces.

        Args:
            pieces: the table.
            keep: names of columns whose cells stay as written in the pieces.

        Raises:
            KzooError: a column is missing.
        """
        inference = kinds.kind_of(self._preprocessing).inference
        return inference.piece_encoder(self._preprocessing, pieces, keep)

    def notes_of(
        self,
        rows: int,
        unread: Mapping[str, int],
        missing: Mapping[str, int],
        cells: Mapping[str, Sequence[tuple[int, Any]]],
    ) -> list[str]:
        """Return notes about the cells of tables that were read in pieces.

        Args:
            rows: number of rows.
            unread, missing: column -> number of unreadable and of missing cells.
            cells: column -> the first unreadable ones: (row, value).
        """
        inference = kinds.kind_of(self._preprocessing).inference
        return inference.piece_notes(self._preprocessing, rows, unread, missing, cells)

    def run(self, x: np.ndarray, batch_size: int = 128) -> np.ndarray:
        """Return the unchecked outputs (N, ...) of the network for encoded rows, as float32.

        Args:
            x: (N, ...) encoded rows, as `receive` returns them.
            batch_size: rows per batch.
        """
        batch_size = rows_that_fit(self._manifest.row_bytes, batch_size)
        return in_batches(self._session, x, batch_size).astype(np.float32, copy=False)

    def check(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs (N, ...) of this exported model after checking them.

        Args:
            outputs: (N, ...) outputs of `run`.

        Raises:
            KzooError: an output is NaN or infinite, or there are not as many per row as the model has labels.
        """
        if not all_finite(outputs):
            raise KzooError(f"{self.name}/{self.format} outputs NaN or infinity for these inputs.")
        count = len(self._target.classes)
        if count and count != max(outputs.shape[-1], 2):  # a single output stands for two classes
            raise KzooError(
                f"{self.name} has {plural(outputs.shape[-1], 'output')}, but kzoo.json has {plural(count, 'label')}."
            )
        return outputs

    def predictions(
        self,
        encoded: Encoded,
        outputs: np.ndarray,
        options: PredictionOptions | None = None,
        band: np.ndarray | None = None,
    ) -> Predictions:
        """Return the predictions for encoded inputs and their outputs, after all postprocessing.

        Args:
            encoded: the inputs.
            outputs: (N, ...) outputs of the network.
            options: sets, intervals and abstention, or None.
            band: (N, horizon, targets) half-widths of an adaptive band of forecasts, or None.
        """
        return to_predictions(
            self._problem,
            self._target,
            outputs,
            encoded,
            self._preprocessing,
            logits=ANSWERS.get(self._kind),
            postprocessing=self._postprocessing,
            options=options,
            band=band,
        )

    def answer(self, x: np.ndarray, batch_size: int = 128) -> np.ndarray:
        """Deprecated name of `run`."""
        deprecated("kzoo.runtime.Model.answer()", use="kzoo.runtime.Model.run()", goes="0.4")
        return self.run(x, batch_size)

    def say(self, encoded: Encoded, outputs: np.ndarray) -> Predictions:
        """Deprecated name of `predictions`."""
        deprecated("kzoo.runtime.Model.say()", use="kzoo.runtime.Model.predictions()", goes="0.4")
        return self.predictions(encoded, outputs)

    def _check_ids(self, encoded: Encoded) -> Encoded:
        check_token_ids(encoded.x, kinds.kind(self.inputs), self._target.config)
        return encoded


def typical_row(manifest: Manifest) -> np.ndarray | None:
    """Return an encoded row of medians and most frequent categories; None for other inputs, or if it is not known."""
    preprocessing = manifest.preprocessing
    shape = tuple(manifest.inputs[0]["shape"][1:])
    if preprocessing is None or not hasattr(
        inference := kinds.kind_of(preprocessing).inference, "typical"
    ):
        return None
    stored = manifest.typical
    row = np.array(stored, np.float32) if stored else inference.typical(preprocessing, {})
    return row if row is not None and row.shape == shape else None


def is_explained(manifest: Manifest) -> bool:
    """Return whether the predictions of an export can be explained: those for rows of a table and for texts."""
    task = manifest.spec["task"]
    preprocessing = manifest.preprocessing or {}
    if task is None or problem(task).continues_inputs:
        return False
    return "vocabulary" in preprocessing or typical_row(manifest) is not None


def _checked_manifest(exported: ExportedModel) -> Manifest:
    """Return the manifest after checking that it has all that encoding and prediction need."""
    manifest = exported.manifest
    spec, preprocessing = manifest.spec, manifest.preprocessing
    if preprocessing is not None and (
        mismatch := kinds.preprocessor_mismatch(preprocessing, _config(manifest))
    ):
        file = exported.path / MANIFEST
        raise KzooError(
            f"{file} has an invalid preprocessing ({mismatch}). Export again with kzoo.export."
        )
    if (
        "task" not in spec
        or not isinstance(spec.get("config"), dict | None)
        or not manifest.outputs[0]["shape"]
    ):
        raise KzooError(
            f"{exported.path / MANIFEST} is not valid: task, config or output shape is missing. Export again with "
            "kzoo.export."
        )
    return manifest


def _config(manifest: Manifest) -> JsonObject:
    """Return the config of the network with its input shape; {} instead of a missing config."""
    config = manifest.spec.get("config")
    return (config if isinstance(config, dict) else {}) | {
        "input_shape": manifest.inputs[0]["shape"][1:]
    }


def chosen(exported: ExportedModel, format: str | None = None) -> str:
    """Return the key of the file that `load` opens.

    Args:
        exported: an `ExportedModel`.
        format: key of the file, such as "onnx_int8"; None for the first one that runs without Keras.

    Raises:
        KzooError: no file runs without Keras, or none has this format.

    Examples:
        >>> kzoo.runtime.chosen(kzoo.ExportedModel("exports/iris"))
        'onnx'
    """
    exports = exported.manifest.exports
    available = formats()
    runnable = [name for name, file_format in available.items() if file_format.light]
    keys = [key for key, entry in exports.items() if entry.file and entry.format in runnable]
    if not keys:
        exported_keys = ", ".join(exports) or "none"
        raise KzooError(
            f"{exported.path} has no file that runs without Keras ({', '.join(runnable)}). It contains: "
            f"{exported_keys}. Export the model with formats={runnable[0]!r}."
        )
    if format is None:
        unquantized = [key for key in runnable if key in keys]  # their key is their format
        installed = [key for key in unquantized if all(map(find_spec, available[key].packages))]
        return (installed or unquantized or keys)[0]
    if not isinstance(format, str) or format not in keys:
        entry = exports.get(format) if isinstance(format, str) else None
        reason = f"it was not exported: {entry.error}" if entry and entry.error else None
        reason = reason or f"{hint(str(format), keys)}It has: {', '.join(keys)}"
        raise KzooError(
            f"is not available for {exported.path}: {reason.rstrip('.')}.",
            argument="format",
            value=format,
        )
    return format


def _read(exported: ExportedModel, name: str) -> bytes:
    """Return the bytes of a file after checking its checksum, since native parsers must not read altered files."""
    relative = PurePosixPath(name)
    listed = exported.manifest.files.get(name)
    if listed is None or not is_inside(name):
        raise KzooError(f"{exported.path}: {name!r} is not listed in kzoo.json. Export again.")
    file = exported.path / relative
    try:
        below_export = (relative, *relative.parents)[:-1]  # the file and its folders, without "."
        if any((exported.path / path).is_symlink() for path in below_export):
            raise KzooError(
                f"{file} is a symbolic link, which kzoo.export does not write. Copy the file itself."
            )
        check_regular(file)
        content = file.read_bytes()
    except OSError as error:
        raise KzooError(
            f"{file} cannot be read: {error.strerror}. Copy the folder again."
        ) from None
    if hashlib.sha256(content).hexdigest() != listed["sha256"]:
        raise KzooError(
            f"{file} is damaged or was altered: its sha256 differs from kzoo.json. Copy the folder again."
        )
    return content
