"""The script of docs/how_to/several_machines.md, in two processes: both end with the same weights."""

import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "how_to" / "several_machines.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed"),
]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def test_two_processes_train_one_model(tmp_path):
    import keras

    blocks = re.findall(r"```python\n(# together\.py\n.*?)```", PAGE.read_text("utf-8"), re.S)
    (tmp_path / "together.py").write_text(blocks[0], "utf-8")
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    processes = [
        subprocess.Popen(
            [sys.executable, "together.py", str(number), addresses],
            cwd=tmp_path,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    losses = [float(re.search(r"loss (\d\.\d+)", output)[1]) for output in outputs]
    assert losses[0] == losses[1] < 0.5
    first, second = (
        keras.saving.load_model(tmp_path / f"digits_{number}.keras") for number in range(2)
    )
    for weights, others in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)
