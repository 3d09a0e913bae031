"""An exported model as `kzoo.export` writes it, made by hand; files that loading does not read are placeholders."""

import hashlib
import json
from pathlib import Path

import kzoo


def exported_of(model, folder="exported", **changes):
    """Write the export of a model that kzoo built, or of another one; `changes` go into its specification."""
    folder = Path(folder)
    (folder / "onnx").mkdir(parents=True)
    try:
        spec = kzoo.spec_of(model)
        model.save_weights(folder / "model.weights.h5")
    except kzoo.KzooError:
        spec = dict(
            preset=model.name, family=None, task=None, config={}, training={}, seed=0, kzoo="0"
        )
        model.save(folder / "model.keras")
    (folder / "labels.json").write_text('["a", "b"]')
    (folder / "onnx" / "model.onnx").write_bytes(b"onnx")
    write_manifest(folder, spec | changes)
    return folder


def write_manifest(folder, spec, **more):
    """Write `kzoo.json` over all the files that are there."""
    files = {
        file.relative_to(folder).as_posix(): dict(
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(), bytes=file.stat().st_size
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "kzoo.json"
    }
    ends = [dict(name="values", shape=[None, 1], dtype="float32", kind="values")]
    manifest = (
        dict(
            format_version=1,
            name=spec["preset"],
            created="2026-11-25",
            spec=spec,
            parameters=1,
            inputs=ends,
            outputs=ends,
            labels=[],
            targets=[],
            preprocessing=None,
            data=None,
            metrics={},
            versions={},
            predict_ms={},
            exports={},
            files=files,
        )
        | more
    )
    (folder / "kzoo.json").write_text(json.dumps(manifest))
