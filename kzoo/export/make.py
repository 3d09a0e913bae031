"""`make`: the work of `kzoo.export`, from the refusals to the finished folder."""

import os
import shutil
import sys
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from kzoo.data.named import ORIGINS
from kzoo.export import card
from kzoo.export.export_source import ConversionJob, export_source, plain
from kzoo.export.formats import file_of, formats, keys_of, parse, split_key
from kzoo.export.processes import run_steps
from kzoo.export.sample import write_sample
from kzoo.export.staging import new_folder
from kzoo.export.verify import AGREEMENT, TOLERANCE, difference, too_different, verify
from kzoo.exported import MANIFEST, Entry, ExportedModel, Manifest, described, files_below
from kzoo.utils.errors import ExportError, KzooError
from kzoo.utils.files import write_json
from kzoo.utils.optional import check_installed


def export_model(model_or_run, path, names, *, quantize, check, data, overwrite, timeout, progress) -> ExportedModel:
    """Export as `kzoo.export` describes it; `names` are its `formats`, and `check` its `verify`."""
    names, quantize = parse(names, quantize)
    wanted = [formats()[name] for name in names]
    for format in wanted:
        for package in format.needs:
            check_installed(package, extra=format.extra)
    for package in ("tensorflow", "keras"):  # of the process that converts
        check_installed(package)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise KzooError(f"timeout={timeout!r} must be a number of seconds above 0.")
    if not isinstance(path, str | os.PathLike):
        raise KzooError(f"path={path!r} must be the folder to write.")
    if data is not None and not quantize:
        raise KzooError("data= calibrates and scores what quantize= writes, and that is nothing here: leave it out.")
    subject = export_source(model_or_run)
    for format in wanted:
        if why := format.refuses(subject.spec):
            raise KzooError(f"{subject.spec['preset']} cannot become {format.name}: {why}.")
    path = Path(path)
    before = _exported_there(path, subject, overwrite)
    say = (lambda line: print(line, file=sys.stderr)) if progress else lambda line: None
    with new_folder(path) as (folder, work):
        job = ConversionJob.of(subject, folder, work, version=_next_version(path))
        if quantize:
            say(write_sample(subject, data, work / "sample.npz"))
        with closing(_work(job, subject, work, keys_of(names, quantize), timeout, say)) as steps:
            found = next(steps)[1]
            if "error" in found:
                raise KzooError(f"The model cannot be exported: {found['error'].rstrip('.')}.")
            if before is not None and not overwrite:
                _check_same_network(before, folder, classes=subject.kind != "values")
            exports = {key: _converted(key, outcome, job) for key, outcome in steps}
        manifest = _manifest(subject, job, found, exports)
        manifest.write(folder)
        if check:
            exports = exports | _verified(folder, exports, work / "sample.npz" if quantize else None, timeout, say)
        exports = {key: _without_failed_file(folder, entry) for key, entry in exports.items()}
        if all(entry.status == "failed" for entry in exports.values()):
            key, entry = next(iter(exports.items()))
            said = {key: entry.json() for key, entry in exports.items()}
            raise ExportError(f"Nothing was exported: {key}: {entry.error}.", said)
        if before is not None and not overwrite:
            exports = exports | _carried_over(before, folder, exports)
        manifest = replace(manifest, exports=exports)
        card.write(folder, manifest)
        files = {name: described(folder / name) for name in files_below(folder) if name != MANIFEST}
        replace(manifest, files=files).write(folder)
    for key, entry in exports.items():
        if entry.status == "failed":
            say(f"{key} failed: {entry.error}")
    return ExportedModel(path)


def _exported_there(path, subject, overwrite):
    """Return the exported model that is there already, or None; refuse a folder that is something else."""
    if path.is_dir() and not any(path.iterdir()):
        return None
    if not path.exists():
        return None
    if not (path / MANIFEST).is_file():
        what = "holds other files and is not an exported model" if path.is_dir() else "is a file"
        raise KzooError(f"{path} {what}. Name a new folder.")
    if overwrite:
        return None
    exported = ExportedModel(path)
    same = all(exported.spec.get(part) == plain(subject.spec[part]) for part in ("family", "task", "config"))
    if not same:
        raise KzooError(f"{path} holds another model ({exported.name}). Pass overwrite=True, or another path.")
    return exported


def _next_version(path):
    """Return the next number of a SavedModel, which TensorFlow Serving takes for the newest."""
    there = (path / "saved_model").glob("*") if (path / "saved_model").is_dir() else ()
    return 1 + max((int(p.name) for p in there if p.name.isdigit()), default=0)


def _work(job, subject, work, keys, timeout, say):
    """Hand the network over to the worker: it writes weights and golden answers first, then a file for each key."""
    if subject.model is not None:
        if subject.family is None:
            subject.model.save(work / "model.keras")
        else:
            # Without the optimizer, whose state is twice the weights.
            bare = sys.modules["keras"].Model(subject.model.inputs, subject.model.outputs, name=subject.model.name)
            bare.save_weights(Path(job.folder) / "model.weights.h5")
    write_json(work / "job.json", asdict(job))
    return run_steps(
        "kzoo.export.worker", [work / "job.json"], ["network", *keys], timeout=timeout,
        begin=lambda step: say("loading the network" if step == "network" else f"{step}: converting"),
    )  # fmt: skip


def _converted(key, outcome, job) -> Entry:
    """Return what the manifest says of a file that the worker has converted, or could not."""
    name, quantize = split_key(key)
    file = file_of(key, job.version)
    entry = Entry(
        format=name, quantize=quantize, file=file, status="unchecked",
        tolerance=TOLERANCE[quantize],
    )  # fmt: skip
    if "error" in outcome:
        return replace(entry, status="failed", error=outcome["error"])
    facts = {name: value for name, value in outcome.items() if name not in ("batch", "note")}
    size = _size(Path(job.folder) / file)
    return replace(entry, batch=outcome.get("batch"), note=outcome.get("note"), facts=facts, bytes=size)


def _size(path):
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def _manifest(subject, job, found, exports) -> Manifest:
    run, given = subject.run, subject.given
    spec = {k: job.spec.get(k) for k in ("preset", "family", "task", "config", "training", "seed")}
    spec |= {k: job.spec[k] for k in ("revision",) if job.spec.get(k) is not None}
    return Manifest(
        name=spec["preset"],
        created=time.strftime("%Y-%m-%d"),
        spec=spec | {"kzoo": found["versions"]["kzoo"]},
        parameters=found["parameters"],
        inputs=[{k: given[k] for k in ("name", "shape", "dtype", "meaning")}],
        outputs=[dict(name=subject.kind, shape=found["answer"], kind=subject.kind)],
        labels=list(subject.labels),
        targets=list(subject.targets),
        preprocessing=job.preprocessing,
        postprocessing=job.postprocessing,
        data=run.config["data"] if run else None,
        metrics={k: v for k, v in run.summary.items() if k in ("validation", "test")} if run else {},
        baselines=_baselines(run),
        origin=_origin(run),
        versions=found["versions"],
        predict_ms=found["predict_ms"],
        exports=exports,
        files={},
    )


def _baselines(run) -> list:
    """Return what needs no network, as a run's summary has it."""
    return list(run.summary.get("baselines") or ()) if run else []


def _origin(run) -> dict:
    if run and run.origin:
        return run.origin
    name = run.config["data"]["name"] if run else None
    return dict(zip(("source", "licence"), ORIGINS[name], strict=True)) if name in ORIGINS else {}


def _verified(folder, exports, sample, timeout, say) -> dict:
    """Return the entries of the files that there are, now that each was opened by its own runtime."""
    keys = [key for key, entry in exports.items() if entry.status != "failed"]
    begin = lambda key: say(f"{key}: checking")  # noqa: E731
    checked = verify(folder, keys, sample=sample, timeout=timeout, begin=begin)
    return {key: _judged(replace(exports[key], **outcome)) for key, outcome in checked}


def _judged(entry) -> Entry:
    """Return an entry with its status, and what is wrong with the file if anything is."""
    if entry.error is None and entry.quantize == "int8":
        # Golden inputs hold extremes that int8 may answer differently; a later check asks that it still does so.
        entry = replace(entry, tolerance=round(entry.difference + 0.05, 4))
        if entry.agreement < AGREEMENT:
            wrong = f"only {entry.agreement:.1%} of its answers are those of Keras, not {AGREEMENT:.0%}"
            entry = replace(entry, error=wrong)
    elif entry.error is None:
        entry = replace(entry, error=too_different(entry))
    return replace(entry, status="ok" if entry.error is None else "failed")


def _without_failed_file(folder, entry) -> Entry:
    """Remove the file of an export that failed."""
    if entry.status != "failed":
        return entry
    target = folder / entry.file
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    if target.parent.is_dir() and not any(target.parent.iterdir()):
        target.parent.rmdir()
    return replace(entry, file=None, bytes=None)


def _check_same_network(before, folder, classes):
    """Refuse to add to an export whose network gives other answers.

    Answers are compared within the tolerance of an exported file: another processor rounds differently.
    """
    try:
        with np.load(before.path / "golden.npz") as old, np.load(folder / "golden.npz") as new:
            same = all(np.allclose(old[x], new[x]) for x in ("x_1", "x_7")) and all(
                difference(old[y], new[y], classes) <= TOLERANCE[None] for y in ("y_1", "y_7")
            )
    except (OSError, ValueError, KeyError):
        same = False
    if not same:
        raise KzooError(
            f"{before.path} holds the same network with other weights. Pass overwrite=True, which gives "
            "the SavedModel the next number, or name another path."
        )


def _carried_over(before, folder, exports) -> dict:
    """Copy what an earlier export of the same model made and this one was not asked for; return its entries."""
    kept = {k: entry for k, entry in before.manifest.exports.items() if k not in exports and entry.file is not None}
    for entry in kept.values():
        source, target = before.path / entry.file, folder / entry.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    return kept
