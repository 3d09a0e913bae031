"""Implementation of `kzoo.export`: argument checks, conversion, verification and the finished folder."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.named import ORIGINS
from kzoo.export import card
from kzoo.export.export_source import ConversionJob, export_source
from kzoo.export.formats import file_of, files_of, formats, keys_of, parse, split_key
from kzoo.export.processes import run_steps
from kzoo.export.sample import write_sample
from kzoo.export.staging import new_folder
from kzoo.export.training_rows import manifest_counts
from kzoo.export.verify import AGREEMENT, TOLERANCE, difference, tolerance_error, verify
from kzoo.inference import signature
from kzoo.inference.exported import (
    MANIFEST,
    SIGNATURE,
    Entry,
    ExportedModel,
    Manifest,
    described,
    files_below,
)
from kzoo.problems.kinds import kind_of
from kzoo.problems.stored_types import BASELINE, plain_value
from kzoo.utils.address import refuse_path_of_address
from kzoo.utils.errors import ExportError, KzooError
from kzoo.utils.files import JsonObject, write_json
from kzoo.utils.formatting import spelled
from kzoo.utils.optional import check_installed
from kzoo.zoo import retrained

if TYPE_CHECKING:
    from kzoo.export.export_source import ExportSource
    from kzoo.zoo.run import Run


_AUTHOR = 200  # most characters of a name


def export_model(
    model_or_run: object,
    path: object,
    names: object,
    *,
    quantize: object,
    check: bool,
    data: object,
    overwrite: bool,
    author: str | None,
    sign: str | os.PathLike[str] | None,
    timeout: float,
    progress: bool,
) -> ExportedModel:
    """Export a run or a model; see `kzoo.export`. `names` are its `formats`, and `check` is its `verify`."""
    # 1. Check arguments, packages and the target folder before Keras starts.
    names, quantize = parse(names, quantize)
    selected = [formats()[name] for name in names]
    for format in selected:
        for package in format.needs:
            check_installed(package, extra=format.extra)
    for package in ("tensorflow", "keras"):  # needed by the worker process
        check_installed(package)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise KzooError("must be a positive number of seconds.", argument="timeout", value=timeout)
    if not isinstance(path, str | os.PathLike):
        raise KzooError("must be the path of the folder to write.", argument="path", value=path)
    if author is not None and not (author.isprintable() and 0 < len(author) <= _AUTHOR):
        raise KzooError(
            f"must be a line of 1 to {_AUTHOR} characters.", argument="author", value=author
        )
    if sign is not None:
        signature.check_key(sign)
    if data is not None and not quantize:
        raise KzooError(
            "is only used to calibrate and score quantized files. Remove it, or pass quantize=.",
            argument="data",
        )
    subject = export_source(model_or_run)
    for format in selected:
        if reason := format.refuses(subject.spec):
            raise KzooError(
                f"{subject.spec['preset']} cannot be exported to {format.name}: {reason}."
            )
    if quantize and _has_baseline(subject.spec):
        raise KzooError(
            f"would round the tables of a baseline, such as the thresholds of trees, in "
            f"{subject.spec['preset']!r}. Leave quantize out.",
            argument="quantize",
            value=quantize[0],
        )
    path = Path(path)
    refuse_path_of_address(path)
    before = _existing_export(path, subject, overwrite)
    if author is None:
        author = before.manifest.author if before is not None else ""
    was_signed = (path / SIGNATURE).is_file()
    # 2. Convert and verify in a staging folder.
    say = (lambda line: print(line, file=sys.stderr)) if progress else lambda line: None
    with new_folder(path) as (folder, work):
        job = ConversionJob.of(
            subject,
            folder,
            work,
            version=_next_version(path),
            about=_about(subject.run) | {"author": author},
        )
        if quantize:
            say(write_sample(subject, data, work / "sample.npz"))
        with closing(
            _start_worker(job, subject, work, keys_of(names, quantize), timeout, say)
        ) as steps:
            network_facts = next(steps)[1]
            if "error" in network_facts:
                raise KzooError(f"Cannot export the model: {network_facts['error'].rstrip('.')}.")
            if before is not None and not overwrite:
                _check_same_network(before, folder, classes=subject.kind != "values")
            exports = {key: _converted_entry(key, outcome, job) for key, outcome in steps}
        manifest = _manifest(subject, job, network_facts, exports)
        manifest.write(folder)
        if check:
            exports = exports | _verified_entries(
                folder, exports, work / "sample.npz" if quantize else None, timeout, say
            )
        exports = {key: _without_failed_file(folder, key, entry) for key, entry in exports.items()}
        if all(entry.status == "failed" for entry in exports.values()):
            key, entry = next(iter(exports.items()))
            report = {key: entry.json() for key, entry in exports.items()}
            raise ExportError(
                f"All formats failed, nothing was exported: {key}: {entry.error}.", report
            )
        if before is not None and not overwrite:
            exports = exports | _copy_other_formats(before, folder, exports)
        # 3. Write the manifest again, with the model card and the checksums of all files.
        manifest = replace(manifest, exports=exports)
        card.write(folder, manifest)
        files = {name: described(folder / name) for name in files_below(folder) if name != MANIFEST}
        replace(manifest, files=files).write(folder)
        if sign is not None:
            signature.sign(folder, sign)
    for key, entry in exports.items():
        if entry.status == "failed":
            say(f"{key} failed: {entry.error}")
    if sign is None and was_signed:
        say(spelled(f"{path} was signed and no longer is. Pass sign= to sign it again."))
    return ExportedModel(path)


def _has_baseline(spec: JsonObject) -> bool:
    """Return whether a specification is a baseline, or an ensemble with one."""
    return spec.get("method") == BASELINE or any(map(_has_baseline, spec.get("members") or ()))


def _existing_export(path: Path, subject: "ExportSource", overwrite: bool) -> ExportedModel | None:
    """Return the exported model at `path` to which formats are added, or None.

    Raises:
        KzooError: the path is a file, another folder, or an export of another model.
    """
    if path.is_dir() and not any(path.iterdir()):
        return None
    if not path.exists():
        return None
    if not (path / MANIFEST).is_file():
        problem = (
            "contains other files and is not an exported model" if path.is_dir() else "is a file"
        )
        raise KzooError(f"{path} {problem}. Choose a new folder.", value=path)
    if overwrite:
        return None
    exported = ExportedModel(path)
    is_same_model = all(
        exported.spec.get(part) == plain_value(subject.spec[part])
        for part in ("family", "task", "config")
    )
    if not is_same_model:
        raise KzooError(
            f"{path} contains another model ({exported.name}). Pass overwrite=True, or choose another path."
        )
    return exported


def _next_version(path: Path) -> int:
    """Return the next version number of the SavedModel; TensorFlow Serving uses the largest."""
    version_folders = (path / "saved_model").glob("*") if (path / "saved_model").is_dir() else ()
    return 1 + max((int(p.name) for p in version_folders if p.name.isdigit()), default=0)


def _start_worker(
    job: ConversionJob,
    subject: "ExportSource",
    work: Path,
    keys: Sequence[str],
    timeout: float,
    say: Callable[[str], None],
) -> Generator[tuple[str, JsonObject], None, None]:
    """Start the worker process and return the iterator of its outcomes.

    The worker writes the weights and golden outputs in the step "network", then one file for each key.
    """
    if subject.model is not None:
        if subject.family is None:
            subject.model.save(work / "model.keras")
        else:
            # A model without the optimizer, whose state is twice as large as the weights.
            bare = sys.modules["keras"].Model(
                subject.model.inputs, subject.model.outputs, name=subject.model.name
            )
            bare.save_weights(Path(job.folder) / "model.weights.h5")
    write_json(work / "job.json", asdict(job))
    return run_steps(
        "kzoo.export.worker",
        [work / "job.json"],
        ["network", *keys],
        timeout=timeout,
        begin=lambda step: say(
            "loading the network" if step == "network" else f"{step}: converting"
        ),
    )


def _converted_entry(key: str, outcome: JsonObject, job: ConversionJob) -> Entry:
    """Return the manifest entry of a file that the worker converted or failed to convert."""
    name, quantize = split_key(key)
    file = file_of(key, job.version)
    entry = Entry(
        format=name,
        quantize=quantize,
        file=file,
        status="unchecked",
        tolerance=TOLERANCE[quantize],
    )
    if "error" in outcome:
        return replace(entry, status="failed", error=outcome["error"])
    facts = {name: value for name, value in outcome.items() if name not in ("batch", "note")}
    size = _size(Path(job.folder) / file)
    return replace(
        entry, batch=outcome.get("batch"), note=outcome.get("note"), facts=facts, bytes=size
    )


def _size(path: Path) -> int:
    return (
        sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        if path.is_dir()
        else path.stat().st_size
    )


def _manifest(
    subject: "ExportSource",
    job: ConversionJob,
    network_facts: JsonObject,
    exports: dict[str, Entry],
) -> Manifest:
    run, input_spec, about = subject.run, subject.input_spec, job.about
    spec = {k: job.spec.get(k) for k in ("preset", "family", "task", "config", "training", "seed")}
    spec |= {k: job.spec[k] for k in ("revision",) if job.spec.get(k) is not None}
    return Manifest(
        name=str(spec["preset"]),
        created=time.strftime("%Y-%m-%d"),
        spec=spec | {"kzoo": network_facts["versions"]["kzoo"]},
        parameters=network_facts["parameters"],
        row_bytes=network_facts["row_bytes"],
        author=about["author"],
        counts=manifest_counts(
            about["statistics"], about["data"], job.preprocessing, len(subject.labels)
        ),
        inputs=[{k: input_spec[k] for k in ("name", "shape", "dtype", "meaning")}],
        outputs=[dict(name=subject.kind, shape=network_facts["answer"], kind=subject.kind)],
        labels=list(subject.labels),
        targets=list(subject.targets),
        preprocessing=job.preprocessing,
        postprocessing=job.postprocessing,
        data=about["data"],
        metrics=about["metrics"],
        baselines=about["baselines"],
        origin=about["origin"],
        retrained=about["retrained"],
        typical=_typical(run, job.preprocessing),
        versions=network_facts["versions"],
        predict_ms=network_facts["predict_ms"],
        exports=exports,
        files={},
    )


def _typical(run: "Run | None", preprocessing: JsonObject | None) -> list[float]:
    """Return a row of medians and most frequent categories, unless the preprocessor has these."""
    if (
        not run
        or not preprocessing
        or not hasattr(inference := kind_of(preprocessing).inference, "typical")
    ):
        return []
    if inference.typical(preprocessing, {}) is not None:
        return []
    row = inference.typical(preprocessing, run.config.get("statistics") or {})
    return [] if row is None else [float(value) for value in row]


def _about(run: "Run | None") -> JsonObject:
    """Return what is known of the training of a run (see `ConversionJob`)."""
    summary = run.summary if run else {}
    return dict(
        data=_described(run) if run else None,
        metrics={name: summary[name] for name in ("validation", "test") if name in summary},
        baselines=list(summary.get("baselines") or ()),
        origin=_origin(run),
        retrained=retrained.statement(run) if run and run.tracked else "",
        statistics=(run.config.get("statistics") if run else None) or {},
    )


def _described(run: "Run") -> JsonObject:
    """Return what an exported model says of the training data: not where it lies."""
    return {name: value for name, value in run.config["data"].items() if name != "source"}


def _origin(run: "Run | None") -> dict[str, str]:
    if run and run.origin:
        return run.origin
    name = run.config["data"]["name"] if run else None
    return dict(zip(("source", "licence"), ORIGINS[name], strict=True)) if name in ORIGINS else {}


def _verified_entries(
    folder: Path,
    exports: Mapping[str, Entry],
    sample: Path | None,
    timeout: float,
    say: Callable[[str], None],
) -> dict[str, Entry]:
    """Return the entries of the converted files, verified by their own runtimes."""
    written = {key: entry for key, entry in exports.items() if entry.status != "failed"}
    reasons = {key: formats()[entry.format].cannot_run() for key, entry in written.items()}
    unchecked = {
        key: replace(written[key], note=reason) for key, reason in reasons.items() if reason
    }
    keys = [key for key in written if key not in unchecked]
    begin = lambda key: say(f"{key}: checking")  # noqa: E731
    checked = verify(folder, keys, sample=sample, timeout=timeout, begin=begin)
    return unchecked | {
        key: _with_status(replace(exports[key], **outcome)) for key, outcome in checked
    }


def _with_status(entry: Entry) -> Entry:
    """Return an entry with its status, and the error if its outputs differ too much from those of Keras."""
    if entry.error is None and entry.quantize == "int8":
        # For int8, extreme golden inputs may give other outputs. Later checks use the difference measured now as the
        # tolerance.
        agreement = entry.agreement
        assert entry.difference is not None and agreement is not None  # measured
        entry = replace(entry, tolerance=round(entry.difference + 0.05, 4))
        if agreement < AGREEMENT:
            error = f"only {agreement:.1%} of its outputs agree with Keras, {AGREEMENT:.0%} are required"
            entry = replace(entry, error=error)
    elif entry.error is None:
        entry = replace(entry, error=tolerance_error(entry))
    return replace(entry, status="ok" if entry.error is None else "failed")


def _without_failed_file(folder: Path, key: str, entry: Entry) -> Entry:
    """Return an entry as it is, or, if it failed, without its files, which are removed."""
    if entry.status != "failed":
        return entry
    assert entry.file is not None
    target = folder / entry.file
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    for name in files_of(key)[1:]:
        (folder / name).unlink(missing_ok=True)
    if target.parent.is_dir() and not any(target.parent.iterdir()):
        target.parent.rmdir()
    return replace(entry, file=None, bytes=None)


def _check_same_network(before: ExportedModel, folder: Path, classes: bool) -> None:
    """Raise KzooError if the existing export is of a network with other weights.

    Golden outputs are compared within the tolerance of exported files, since processors round differently.
    """
    try:
        with np.load(before.path / "golden.npz") as old, np.load(folder / "golden.npz") as new:
            is_same = all(np.allclose(old[x], new[x]) for x in ("x_1", "x_7")) and all(
                difference(old[y], new[y], classes) <= TOLERANCE[None] for y in ("y_1", "y_7")
            )
    except (OSError, ValueError, KeyError):
        is_same = False
    if not is_same:
        raise KzooError(
            f"{before.path} contains the same network with other weights. Pass overwrite=True, which increments the "
            "version number of the SavedModel, or choose another path."
        )


def _copy_other_formats(
    before: ExportedModel, folder: Path, exports: Mapping[str, Entry]
) -> dict[str, Entry]:
    """Copy the files of an earlier export whose formats are not exported again; return their entries."""
    copied = {
        k: entry
        for k, entry in before.manifest.exports.items()
        if k not in exports and entry.file is not None
    }
    for key, entry in copied.items():
        assert entry.file is not None
        beside = files_of(key)[1:] if entry.format in formats() else []
        for name in (entry.file, *beside):
            source = before.path / name
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    return copied
