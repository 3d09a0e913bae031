"""Facts about a served model for the web page and clients: its input, its outputs and its scores. NumPy only."""

from typing import TYPE_CHECKING

from kzoo.inference.exported import Manifest
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.problems import kinds
from kzoo.problems.tasks import problem
from kzoo.runtime.model import is_explained
from kzoo.serve.model_repository import ServedModel, Version
from kzoo.utils.files import Json, JsonObject, read_arrays
from kzoo.zoo.results.score_facts import score_facts, trained_on

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
        "trained_on": trained_on(manifest.data),
        "score": score_facts(manifest.spec, manifest.metrics, manifest.baselines),
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
    if kind.is_table:
        return {"form": kind.inference.form(manifest.preprocessing, manifest.typical)}
    return {"form": kind.inference.form(manifest.preprocessing)}


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
