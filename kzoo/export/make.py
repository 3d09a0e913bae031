"""`make`: the work of `kzoo.export`, from the refusals to the finished folder."""

import os
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from kzoo.errors import ExportError, KzooError
from kzoo.export import card
from kzoo.export.bundle import FORMAT_VERSION, Bundle, described, files_below
from kzoo.export.formats import FORMATS, REFUSED, file_of, keys_of, parse, split_key
from kzoo.export.place import new_folder
from kzoo.export.processes import run_steps
from kzoo.export.sample import write_sample
from kzoo.export.subject import subject_of
from kzoo.export.verify import AGREEMENT, TOLERANCE, verify
from kzoo.files import write_json
from kzoo.optional import check_installed


def make(model_or_run, path, formats, *, quantize, verify, data, overwrite, timeout, progress) -> Bundle:
    """Do what `kzoo.export` says."""
    formats, quantize = parse(formats, quantize)
    for name in formats:
        for package in FORMATS[name].needs:
            check_installed(package, extra=FORMATS[name].extra)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise KzooError(f"timeout={timeout!r} must be a number of seconds above 0.")
    if not isinstance(path, str | os.PathLike):
        raise KzooError(f"path={path!r} must be the folder to write.")
    subject = subject_of(model_or_run)
    for name in formats:
        if why := REFUSED.get((subject.spec.get("method"), name)):
            raise KzooError(f"{subject.spec['preset']} cannot become {name}: {why}.")
    path = Path(path)
    before = _bundle_there(path, subject, overwrite)
    say = (lambda line: print(line, file=sys.stderr)) if progress else lambda line: None
    with new_folder(path) as (folder, work):
        job = _job(subject, folder, work, version=_next_version(path))
        if quantize:
            say(write_sample(subject, data, work / "sample.npz"))
        with closing(_work(job, subject, work, keys_of(formats, quantize), timeout, say)) as steps:
            found = next(steps)[1]
            if "error" in found:
                raise KzooError(f"The model cannot be exported: {found['error']}.")
            if before is not None and not overwrite:
                _same_answers(before, folder)
            exports = _converted(job, steps)
        config = _config(subject, job, found, exports)
        write_json(folder / "kzoo.json", config)
        if verify:
            _verify(folder, config, work / "sample.npz" if quantize else None, timeout, say)
        _drop_failed(folder, exports)
        if all(entry["status"] == "failed" for entry in exports.values()):
            key, entry = next(iter(exports.items()))
            raise ExportError(f"Nothing was exported: {key}: {entry['error']}.", exports)
        if before is not None and not overwrite:
            _carry_over(before, folder, exports)
        card.write(folder, config)
        config["files"] = {name: described(folder / name) for name in files_below(folder) if name != "kzoo.json"}
        write_json(folder / "kzoo.json", config)
    for key, entry in exports.items():
        if entry["status"] == "failed":
            say(f"{key} failed: {entry['error']}")
    return Bundle(path)


def _bundle_there(path, subject, overwrite):
    """Return the bundle that is there already, or None; refuse a folder that is something else."""
    if path.is_dir() and not any(path.iterdir()):
        return None
    if not path.exists():
        return None
    if not (path / "kzoo.json").is_file():
        what = "holds other files and no bundle" if path.is_dir() else "is a file"
        raise KzooError(f"{path} {what}. Name a new folder.")
    if overwrite:
        return None
    bundle = Bundle(path)
    same = all(bundle.spec.get(part) == _plain(subject.spec[part]) for part in ("family", "task", "config"))
    if not same:
        raise KzooError(f"{path} holds another model ({bundle.name}). Pass overwrite=True, or another path.")
    return bundle


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _next_version(path):
    """Return the next number of a SavedModel, which TensorFlow Serving takes for the newest."""
    there = (path / "saved_model").glob("*") if (path / "saved_model").is_dir() else ()
    return 1 + max((int(p.name) for p in there if p.name.isdigit()), default=0)


def _job(subject, folder, work, *, version):
    return dict(
        bundle=str(folder.absolute()),
        work=str(work.absolute()),
        run=str(subject.run.path.absolute()) if subject.run else None,
        spec=_plain(subject.spec),
        like=subject.like,
        given=subject.given,
        kind=subject.kind,
        activation=subject.activation,
        version=version,
        preprocessing=subject.run.preprocessing if subject.run else None,
    )


def _work(job, subject, work, keys, timeout, say):
    """Hand the network over to the worker: it writes weights and golden answers first, then a file for each key."""
    if subject.model is not None:
        if subject.family is None:
            subject.model.save(work / "model.keras")
        else:
            # Without the optimizer, whose state is twice the weights.
            bare = sys.modules["keras"].Model(subject.model.inputs, subject.model.outputs, name=subject.model.name)
            bare.save_weights(Path(job["bundle"]) / "model.weights.h5")
    write_json(work / "job.json", job)
    return run_steps(
        "kzoo.export.worker", [work / "job.json"], ["network", *keys], timeout=timeout,
        begin=lambda step: say("loading the network" if step == "network" else f"{step}: converting"),
    )  # fmt: skip


def _converted(job, steps):
    """Let the worker convert to every format; return the entries of `kzoo.json`."""
    exports = {}
    for key, outcome in steps:
        name, quantize = split_key(key)
        entry = exports[key] = dict(
            format=name,
            quantize=quantize,
            file=file_of(key, job["version"]),
            status="unchecked",
            batch=None,
            difference=None,
            tolerance=TOLERANCE[quantize],
            agreement=None,
            score=None,
            bytes=None,
            latency_ms=None,
            runtime=None,
        )
        if "error" in outcome:
            entry |= dict(status="failed", error=outcome["error"])
        else:
            entry |= outcome
            entry["bytes"] = _size(Path(job["bundle"]) / entry["file"])
    return exports


def _size(path):
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def _config(subject, job, found, exports):
    run, given = subject.run, subject.given
    spec = {k: job["spec"].get(k) for k in ("preset", "family", "task", "config", "training", "seed")}
    return dict(
        format_version=FORMAT_VERSION,
        name=spec["preset"],
        created=time.strftime("%Y-%m-%d"),
        spec=spec | {"kzoo": found["versions"]["kzoo"]},
        parameters=found["parameters"],
        inputs=[{k: given[k] for k in ("name", "shape", "dtype", "meaning")}],
        outputs=[dict(name=subject.kind, shape=found["answer"], kind=subject.kind)],
        labels=subject.labels,
        targets=subject.targets,
        preprocessing=run.preprocessing if run else None,
        data=run.config["data"] if run else None,
        metrics={k: v for k, v in run.summary.items() if k in ("validation", "test")} if run else {},
        versions=found["versions"],
        predict_ms=found["predict_ms"],
        exports=exports,
        files={},
    )


def _verify(folder, config, sample, timeout, say):
    exports = config["exports"]
    keys = [key for key, entry in exports.items() if entry["status"] != "failed"]
    for key, outcome in verify(folder, keys, sample=sample, timeout=timeout, begin=lambda key: say(f"{key}: checking")):
        entry = exports[key]
        entry |= outcome
        if "error" not in outcome:
            _judge(entry)
        entry["status"] = "failed" if "error" in entry else "ok"


def _judge(entry):
    """Say in an entry what is wrong with it, if anything is."""
    if entry["quantize"] == "int8":
        if entry["agreement"] < AGREEMENT:
            entry["error"] = f"only {entry['agreement']:.1%} of its answers are those of Keras, not {AGREEMENT:.0%}"
        # Golden inputs hold extremes that int8 may answer otherwise; a later check asks that it still does so.
        entry["tolerance"] = round(entry["difference"] + 0.05, 4)
    elif entry["difference"] > entry["tolerance"]:
        entry["error"] = f"it differs from Keras by {entry['difference']:.2g}, more than {entry['tolerance']:g}"


def _drop_failed(folder, exports):
    for entry in exports.values():
        if entry["status"] == "failed":
            target = folder / entry["file"]
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            if target.parent.is_dir() and not any(target.parent.iterdir()):
                target.parent.rmdir()
            entry["file"] = entry["bytes"] = None


def _same_answers(before, folder):
    """Refuse to add to a bundle whose network answers otherwise."""
    try:
        with np.load(before.path / "golden.npz") as old, np.load(folder / "golden.npz") as new:
            same = all(np.array_equal(old[name], new[name]) for name in new)
    except (OSError, ValueError, KeyError):
        same = False
    if not same:
        raise KzooError(
            f"{before.path} holds the same network with other weights. Pass overwrite=True, which gives "
            "the SavedModel the next number, or name another path."
        )


def _carry_over(before, folder, exports):
    """Keep what an earlier export of the same model made and this one was not asked for."""
    for key, entry in before.exports.items():
        if key not in exports and entry["file"] is not None:
            exports[key] = entry
            source, target = before.path / entry["file"], folder / entry["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
