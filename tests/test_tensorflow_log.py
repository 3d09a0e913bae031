"""Lines that TensorFlow logs about kzoo's calls are hidden; those about the user's calls are not."""

import os
import re
import subprocess
import sys

from messages import assert_mentions

# A line of TensorFlow's C++ has its level, day and time; a line of its Python begins with the name of its logger.
OF_TENSORFLOW = re.compile(
    r"^[IWE]\d{4} \d\d:|: [IWE] tensorflow|tensorflow:|absl|tf\.function|rebuild TensorFlow|oneDNN"
)

SCRIPT = """
import sys
import numpy as np
import kzoo

if __name__ == "__main__":
    run = kzoo.train("iris_fnn", "iris", out="run", epochs=1, callbacks="quick", baselines=False)
    for rows in range(3, 12):
        kzoo.predict(run, np.ones((rows, 4)), batch_size=rows - 1)
    kzoo.evaluate(run)
    kzoo.cross_validate("iris_fnn", "iris", folds=5, epochs=1, callbacks="quick", baselines=False)
    kzoo.export(run, "exported", formats=["keras"], verify=False)
    print("now the user", file=sys.stderr, flush=True)
    import tensorflow as tf
    square = tf.function(lambda x: x * x)
    for number in range(9):
        square(number)
"""


def stderr_of(script, folder):
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES", "GRPC_VERBOSITY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    (folder / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment | {"KERAS_BACKEND": "tensorflow"},
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_script_sees_lines_of_tensorflow_only_about_its_functions(tmp_path):
    ours, _, theirs = stderr_of(SCRIPT, tmp_path).partition("now the user\n")
    assert [line for line in ours.splitlines() if OF_TENSORFLOW.search(line)] == []
    assert_mentions(ours, "fold", "5/5")
    assert "triggered tf.function retracing" in theirs
