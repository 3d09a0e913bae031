"""`python -m kzoo.export.worker JOB.json STEP...`: the process that converts. One step is one file."""

import platform
import sys
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path

import keras
import numpy as np

from kzoo import __version__
from kzoo.export.formats import FIXED_BATCH, FORMATS, file_of, split_key
from kzoo.export.golden import golden
from kzoo.export.network import Network
from kzoo.export.processes import serve_steps
from kzoo.export.timing import latencies
from kzoo.files import read_json, whole_file


class _Work:
    def __init__(self, job):
        self.job, self.exported = job, Path(job["exported"])

    @cached_property
    def network(self):
        return Network(self.job)

    def do(self, step):
        return self._begin() if step == "network" else self._convert(step)

    def _begin(self):
        """Load the network, write its weights and the golden answers, and time Keras itself."""
        model = self.network.model
        x_1, x_7 = golden(self.job["given"])
        answers = {f"y_{len(x)}": model.predict(x, verbose=0).astype("float32") for x in (x_1, x_7)}
        if not all(np.isfinite(y).all() for y in answers.values()):
            raise ValueError("the network answers golden inputs with NaN or infinity: train it again")
        with whole_file(self.exported / "golden.npz") as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, x_1=x_1, x_7=x_7, **answers)
        sample = Path(self.job["work"]) / "sample.npz"
        if sample.exists():
            with np.load(sample) as arrays:
                rows = dict(arrays)
            rows["y"] = model.predict(rows["x"], verbose=0).astype("float32")
            np.savez(sample, **rows)
        predict = lambda x: model.predict(x, verbose=0)  # noqa: E731
        return dict(
            answer=[None, *answers["y_7"].shape[1:]],
            parameters=self.network.core.count_params(),
            predict_ms=latencies(predict, x_7),
            versions={"kzoo": __version__, "python": platform.python_version()}
            | {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy")},
        )

    def _convert(self, key):
        name, quantize = split_key(key)
        file = self.exported / file_of(key, self.job["version"])
        file.parent.mkdir(parents=True, exist_ok=True)
        network = self.network
        network.fixed_batch = FIXED_BATCH.get((self.job["like"], name))
        more = import_module(FORMATS[name].module).write(network, file, quantize)
        return {"batch": network.fixed_batch, **more}


def main(job, *steps):
    keras.utils.disable_interactive_logging()
    serve_steps(steps, _Work(read_json(job)).do)


if __name__ == "__main__":
    main(*sys.argv[1:])
