"""What TensorFlow writes for itself does not reach those who call kzoo; what it writes for others does."""

import os
import re
import subprocess
import sys

import pytest

# A line of TensorFlow's C++ has its level, day and time; one of its Python begins with the name of its logger.
OF_TENSORFLOW = re.compile(
    r"^[IWE]\d{4} \d\d:|: [IWE] tensorflow|tensorflow:|absl|tf\.function|rebuild TensorFlow|oneDNN"
)

SCRIPT = """
import numpy as np
import kzoo

if __name__ == "__main__":
    run = kzoo.train("iris_fnn", "iris", out="run", epochs=1, callbacks="quick")
    for rows in range(3, 12):
        kzoo.predict(run, np.ones((rows, 4)), batch_size=rows - 1)
    kzoo.evaluate(run)
    kzoo.check("iris_fnn")
    kzoo.cross_validate("iris_fnn", "iris", folds=5, epochs=1, callbacks="quick", baselines=False)
    kzoo.export(run, "exported", formats=["keras"], verify=False)
    kzoo.build("iris_fnn").fit(np.ones((4, 4)), np.zeros(4), verbose=0)
    print(repr(kzoo.load_model(run)))
"""

OF_THE_USER = """
import os
import sys
import kzoo
kzoo.build("iris_fnn")
assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
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
        [sys.executable, "script.py"], cwd=folder, env=environment | {"KERAS_BACKEND": "tensorflow"}, text=True,
        capture_output=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_script_sees_kzoos_lines_and_none_of_tensorflow(tmp_path):
    lines = stderr_of(SCRIPT, tmp_path).splitlines()
    assert [line for line in lines if OF_TENSORFLOW.search(line)] == []
    assert any("fold 5/5" in line for line in lines)


def test_advice_on_functions_of_the_user_stays(tmp_path):
    assert "triggered tf.function retracing" in stderr_of(OF_THE_USER, tmp_path)
