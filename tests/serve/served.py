"""A server in another process, as `kzoo serve` starts it, and requests to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


class Served:
    """A running server.

    Args:
        process: of it.
        url: where it listens.
        file: that its log lines go to.
    """

    def __init__(self, process, url, file):
        self.process, self.url, self.file = process, url, file
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.session = requests.Session()

    def log(self, event=None):
        """Return the lines of its log, or those of one event."""
        lines = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if event in (None, line["event"])]

    def get(self, path, **options):
        return self.session.get(self.url + path, timeout=60, **options)

    def post(self, path, data=None, **options):
        return self.session.post(self.url + path, data=data, timeout=60, **options)

    def answers(self, name, x, **options):
        """Return the answers of `:predict` to arrays."""
        response = self.post(
            f"/v1/models/{name}:predict", json={"instances": np.asarray(x).tolist()}, **options
        )
        assert response.status_code == 200, response.text
        return np.array(response.json()["predictions"])

    def connect(self, timeout=10):
        return socket.create_connection((self.host, self.port), timeout)

    def memory(self):
        """Return the MiB that it has in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def peak(self, *, anew=False):
        """Return the most MiB that it has had in memory; `anew` begins to measure again."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        if anew:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def wait_for(self, true, seconds=60):
        until = time.monotonic() + seconds
        while not (value := true()):
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)
        return value


@contextmanager
def serving(folder, *words, code=None, env=None):
    """Serve until the block ends; then the server must end well.

    Args:
        folder: for its log.
        words: of the command line.
        code: to run instead of it.
    """
    file = folder / "log.jsonl"
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | (env or {})
    command = ["-c", code] if code else ["-m", "kzoo", "serve", *map(str, words), "--port", "0"]
    with open(file, "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    try:
        until = time.monotonic() + 120
        while not (
            lines := [line for line in file.read_text().splitlines() if '"listening"' in line]
        ):
            assert process.poll() is None and time.monotonic() < until, file.read_text()
            time.sleep(0.02)
        yield Served(process, json.loads(lines[0])["url"], file)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, file.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def requesting(server, clients=2, pause=0.1):
    """Send requests all the time, from several connections; yield (status, version, text or error) of each."""
    results = []
    going = [True]

    def send():
        session = requests.Session()
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 1], "data": [1.0] * 64}
        while going:
            try:
                response = session.post(
                    f"{server.url}/v2/models/m/infer", json={"inputs": [tensor]}, timeout=10
                )
                results.append(
                    (response.status_code, response.json().get("model_version"), response.text)
                )
            except requests.RequestException as error:
                results.append((0, None, repr(error)))
            time.sleep(pause)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        going.clear()
        for thread in threads:
            thread.join()
