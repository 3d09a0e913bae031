"""Facts about a served model for the web page and clients: its input, its outputs and its scores. NumPy only."""

from typing import TYPE_CHECKING

from kzoo.inference.exported import Manifest
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.tasks.weighted import UNWEIGHTED
from kzoo.problems import kinds
from kzoo.problems.tasks import problem, score_named
from kzoo.runtime.model import is_explained
from kzoo.serve.model_repository import ServedModel, Version
from kzoo.utils.files import Json, JsonObject, finite, read_arrays
from kzoo.zoo.results import baselines, deciding_score, value_of

if TYPE_CHECKING:
    from kzoo.problems.kinds import Kind


def list_entry(model: ServedModel) -> JsonObject:
    """Return the entry of a model in the list of models."""
    version = model.current
    return {
        "name": model.name,
        "version": str(version),
        "versions": [str(number) for number in sorted(model.versions)],
        "task": version.manifest.spec.get("task"),
        "input": version.manifest.inputs[0]["name"],
    }


def model_facts(model: ServedModel, version: Version) -> JsonObject:
    """Return all facts about a version of a model."""
    manifest = version.manifest
    (input_spec,), (output_spec,) = manifest.inputs, manifest.outputs
    kind = kinds.kind(input_spec["name"]).of_preprocessor(manifest.preprocessing or {})
    return list_entry(model) | {
        "version": str(version),
        "preset": manifest.name,
        "created": manifest.created,
        "parameters": manifest.parameters,
        "input": input_spec
        | {"facts": sorted(kind.facts), "raw": _takes_raw(manifest), **_form(manifest, kind)},
        "answer": {
            "kind": output_spec["kind"],
            "classes": manifest.labels,
            "targets": manifest.targets,
            "horizon": (manifest.spec.get("config") or {}).get("horizon"),
            "continues": _continues(manifest),
            "confidence": Postprocessor.read(manifest.postprocessing).step("conformal") is not None,
        },
        "explains": is_explained(manifest),
        "trained_on": _trained_on(manifest),
        "score": _score(manifest),
        "example": _example(version, kind),
        "files": {
            key: {"format": e.format, "bytes": e.bytes}
            for key, e in manifest.exports.items()
            if e.file
        },
    }


def _takes_raw(manifest: Manifest) -> bool:
    return manifest.preprocessing is not None and not kinds.takes_ready_arrays(
        manifest.preprocessing
    )


def _continues(manifest: Manifest) -> bool:
    task = manifest.spec.get("task")
    return task is not None and problem(task).continues_inputs


def _form(manifest: Manifest, kind: "Kind") -> JsonObject:
    if not _takes_raw(manifest) or not hasattr(kind.inference, "form"):
        return {}
    return {"form": kind.inference.form(manifest.preprocessing)}


def _trained_on(manifest: Manifest) -> JsonObject | None:
    if not manifest.data:
        return None
    return {name: manifest.data.get(name) for name in ("name", "train", "validation", "test")}


def _score(manifest: Manifest) -> JsonObject | None:
    """Return the primary score with its interval and the scores of baselines, or None if the model has no scores."""
    task = manifest.spec.get("task")
    split = next((name for name in ("test", "validation") if manifest.metrics.get(name)), None)
    if task is None or split is None:
        return None
    scores = manifest.metrics[split]
    name = deciding_score(manifest.spec.get("training") or {}, scores, problem(task))
    value = value_of(scores, name)
    if value is None and name not in scores:
        return None
    score_type = score_named(name)
    task = problem(task).task
    form = score_type.form if score_type else "number"
    baseline_scores = {
        task.scores[key].label: scores[key] for key in task.baselines_of(name) if key in scores
    }
    summary = {split: scores, "baselines": manifest.baselines}
    baseline_scores |= baselines.values(summary)
    weighted = {"weighted": True} if UNWEIGHTED in scores else {}
    return finite(
        {
            **weighted,
            "split": split,
            "name": str(name),
            "label": score_type.label if score_type else str(name),
            "best": name.best,
            "form": form,
            "value": value,
            "interval": scores.get(f"{name}_interval"),
            "level": score_type.interval if score_type else None,
            "examples": scores.get("examples"),
            "beside": [
                {"label": label, "value": value} for label, value in baseline_scores.items()
            ],
            "warning": baselines.beaten(summary),
        }
    )


def _example(version: Version, kind: "Kind") -> Json:
    """Return an example input for the endpoint `answer`, or None."""
    manifest = version.manifest
    try:
        x = read_arrays(version.folder / "golden.npz")["x_1"][0]
    except (OSError, ValueError, KeyError, IndexError):
        x = None
    if _takes_raw(manifest) and hasattr(kind.inference, "example"):
        return kind.inference.example(manifest.preprocessing, x)
    return None if x is None else x.tolist()
