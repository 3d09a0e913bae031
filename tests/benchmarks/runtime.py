"""From cold to the first answer of an exported model: seconds by the clock and peak memory of a whole process.

Trains `digits_cnn` for one epoch, exports it, and asks it for one image, in Python and on the command line. Prints JSON
rows; `vs` is what the same question costs by way of the run, with TensorFlow.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import kzoo

ROUNDS = 7
PYTHON = "import kzoo.runtime; print(kzoo.runtime.load({exported!r}, {format!r}).predict({photo!r}).labels)"
RUN = "import kzoo; print(kzoo.predict({run!r}, {photo!r}).labels)"
# The kernel's own figure, which begins anew with each program; the last line of each process says it.
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
COMMAND = "import kzoo.cli; kzoo.cli.main(['predict', {exported!r}, {photo!r}, '--format', {format!r}])"


def measured(code, rounds):
    """Return (least seconds of a process, its peak in MiB)."""
    seconds, peak = [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code + PEAK], check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - began)
        peak = max(peak, int(done.stdout.split()[-1]) / 1024)
    return round(min(seconds), 2), round(peak)


def main():
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run = kzoo.train("digits_cnn", out=home / "run", epochs=1, callbacks="quick", progress=False)
        exported = kzoo.export(run, home / "exported", ["onnx", "litert"], progress=False)
        Image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8) * 4).save(home / "digit.png")
        named = dict(run=str(run.path), exported=str(exported.path), photo=str(home / "digit.png"))
        vs = measured(RUN.format(**named), 2)
        for what, code in (("python", PYTHON), ("kzoo predict", COMMAND)):
            for format in ("onnx", "litert"):
                seconds, peak = measured(code.format(**named, format=format), ROUNDS)
                row = {"what": f"cold to first answer, {what}, {format}", "s": seconds, "bar_s": 1.0, "mib": peak}
                print(json.dumps(row | {"bar_mib": 150, "vs_s": vs[0], "vs_mib": vs[1]}))


if __name__ == "__main__":
    main()
