"""Stands in for the process that converts, without TensorFlow, where a test looks at how the process ends.

It hands over the network and the files of an exported model that exists, but is killed or hangs at ONNX.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from kzoo.export.processes import serve_steps
from kzoo.inference.exported import ExportedModel
from kzoo.utils.files import read_json


def main(job, *steps):
    exported = ExportedModel(os.environ["EXPORTED"])
    end = os.environ["END"]
    folder = Path(read_json(job)["folder"])

    def do(step):
        if step == "network":
            for name in ("golden.npz", "model.weights.h5"):
                shutil.copy(exported.path / name, folder / name)
            config = exported.config
            return {
                "answer": config["outputs"][0]["shape"],
                **{name: config[name] for name in ("parameters", "predict_ms", "versions")},
                "row_bytes": 0,
            }
        if step == "onnx":
            os.kill(os.getpid(), signal.SIGKILL) if end == "killed" else time.sleep(600)
        file = folder / exported.exports[step]["file"]
        file.parent.mkdir()
        shutil.copy(exported.file(step), file)
        return {}

    serve_steps(steps, do)


if __name__ == "__main__":
    main(*sys.argv[1:])
