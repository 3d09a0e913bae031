"""Cold start of an exported model: wall-clock seconds and peak memory of a process up to the first prediction; and the
time of a prediction relative to the plain runtime of the format.

Trains `digits_cnn` for one epoch, exports it, and predicts one image, in Python and on the command line. Prints JSON
rows; `vs` is the cost of the same prediction with the run, with TensorFlow. Ratios to the plain runtime are of
processor time on one core, in turns, best of several.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import kzoo
import kzoo.runtime

ROUNDS = 7
PYTHON = "import kzoo.runtime; print(kzoo.runtime.load({exported!r}, {format!r}).predict({photo!r}).labels)"
RUN = "import kzoo; print(kzoo.predict({run!r}, {photo!r}).labels)"
# The kernel's own figure, which begins anew with each program; the last line of each process says it.
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
COMMAND = (
    "import kzoo.cli; kzoo.cli.main(['predict', {exported!r}, {photo!r}, '--format', {format!r}])"
)


def measured(code, rounds):
    """Return (minimum seconds of a process, its peak memory in MiB)."""
    seconds = []
    peak = 0
    for _ in range(rounds):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code + PEAK], check=True, capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - began)
        peak = max(peak, int(done.stdout.split()[-1]) / 1024)
    return round(min(seconds), 2), round(peak)


def bare(exported, format, x):
    """Return a function that predicts x with the plain runtime of the format, as in its documentation."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(next(Path(exported).rglob("*.onnx")))
        return lambda: session.run(None, {session.get_inputs()[0].name: x})
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(next(Path(exported).rglob("*.tflite"))))
    given, gives = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
    model.resize_tensor_input(given, x.shape)
    model.allocate_tensors()

    def answer():
        model.set_tensor(given, x)
        model.invoke()
        return model.get_tensor(gives)

    return answer


def over_bare(exported):
    """Yield a row per format and batch size: the time of `kzoo.runtime` relative to the plain runtime."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for format in ("onnx", "litert"):
        model = kzoo.runtime.load(exported, format)
        for size, times, bar in ((1, 300, 1.5), (256, 6, 1.1)):
            x = np.random.default_rng(0).integers(0, 255, (size, 8, 8, 1)).astype("float32")
            ways = bare(exported, format, x), partial(model.predict, x, batch_size=size)
            best = [float("inf")] * 2
            for _ in range(ROUNDS):
                for i, way in enumerate(ways):
                    way()
                    began = time.process_time()
                    for _ in range(times):
                        way()
                    best[i] = min(best[i], (time.process_time() - began) / times)
            us = dict(bare_us=round(best[0] * 1e6, 1), us=round(best[1] * 1e6, 1))
            yield {
                "what": f"{size} at once, {format}",
                **us,
                "ratio": round(best[1] / best[0], 2),
                "bar": bar,
            }


def main():
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run = kzoo.train(
            "digits_cnn", out=home / "run", epochs=1, callbacks="quick", progress=False
        )
        exported = kzoo.export(run, home / "exported", ["onnx", "litert"], progress=False)
        Image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8) * 4).save(home / "digit.png")
        named = dict(run=str(run.path), exported=str(exported.path), photo=str(home / "digit.png"))
        vs = measured(RUN.format(**named), 2)
        for what, code in (("python", PYTHON), ("kzoo predict", COMMAND)):
            for format in ("onnx", "litert"):
                seconds, peak = measured(code.format(**named, format=format), ROUNDS)
                row = {
                    "what": f"cold to first answer, {what}, {format}",
                    "s": seconds,
                    "bar_s": 1.0,
                    "mib": peak,
                }
                print(json.dumps(row | {"bar_mib": 150, "vs_s": vs[0], "vs_mib": vs[1]}))
        for row in over_bare(exported.path):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
