"""Stands in for the process that converts, where what happens to the process is the question: it knows no TensorFlow.

It hands over the network and the files of an exported model that is there, but for ONNX is killed or hangs.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from kzoo.export.processes import serve_steps
from kzoo.exported import ExportedModel
from kzoo.utils.files import read_json


def main(job, *steps):
    given, end = ExportedModel(os.environ["EXPORTED"]), os.environ["END"]
    folder = Path(read_json(job)["folder"])

    def do(step):
        if step == "network":
            for name in ("golden.npz", "model.weights.h5"):
                shutil.copy(given.path / name, folder / name)
            known = given.config
            return {
                "answer": known["outputs"][0]["shape"],
                **{name: known[name] for name in ("parameters", "predict_ms", "versions")},
            }
        if step == "onnx":
            os.kill(os.getpid(), signal.SIGKILL) if end == "killed" else time.sleep(600)
        file = folder / given.exports[step]["file"]
        file.parent.mkdir()
        shutil.copy(given.file(step), file)
        return {}

    serve_steps(steps, do)


if __name__ == "__main__":
    main(*sys.argv[1:])
