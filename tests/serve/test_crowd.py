"""Hostile bodies next to honest clients: these are answered soon, memory stays small, and the server ends on SIGTERM.

The bodies are of at most a megabyte, and the honest requests one small image each.
"""

import base64
import itertools
import json
import random
import signal
import string
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import requests
from hand_made import write_digits, write_series
from served import GOLDEN, serving
from test_hostile import CASES, JSON, png_of
from test_process import starting

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
MOST = 1 << 20  # bytes of a body
MEBIBYTES = 400  # of memory; seconds until it has ended
END = 3.0
SLOWER = 5  # times the wait of an honest client while other processes are busy, on a slow machine
HOSTILE_CLIENTS, HONEST_CLIENTS = 4, 8
X = np.ones((1, 8, 8, 1)).tolist()
TABLE = ("age", "income", "code", "since", "town", "member")


def tables(chance):
    """Yield CSV files that are expensive to read: wide, short, ragged, quoted, and with expensive cells."""
    columns = ",".join(TABLE)
    for cell in (
        " " * 300,
        "1" * 4_000,
        "1," * 300,
        "1 " * 2_000,
        "-" * 5_000,
        "1e" * 3_000,
        "0:" * 3_000,
        "(" * 4_000,
        "2024-01-01T" * 500,
        "1'000'" * 700,
        "+00:00" * 700,
        "\u0301" * 2_000,
    ):
        row = ",".join([f'"{cell}"'] * len(TABLE))
        yield "\n".join(
            [columns, *[row] * max(1, (MOST - 200) // (len(row.encode()) + 1))]
        ).encode()[:MOST]
    for names, rows in ((10_000, 8_000), (2_000, 100_000), (300, 400_000)):
        yield (",".join(f"c{i}" for i in range(names)) + "\n" + "1\n" * rows).encode()[:MOST]
    yield (columns + "\n" + "1\n" * 500_000).encode()[:MOST]
    yield (columns + "\n" + ",,,,,\n" * 150_000).encode()[:MOST]
    yield b'"' * MOST
    yield (columns + "\n" + '"' + "\n" * MOST).encode()[:MOST]
    yield bytes(chance.randrange(256) for _ in range(200_000))


def documents(chance):
    """Yield (address, JSON) that is expensive to read."""
    digits = "/v1/models/digits:predict"
    for text in (
        "[" * 100_000,
        "[]," * 300_000,
        "{}," * 300_000,
        "1," * 500_000,
        "null," * 200_000,
        '"' + "a" * 10**6,
    ):
        yield digits, ('{"instances": [' + text + "0]}").encode()[:MOST]
    yield digits, json.dumps({"instances": [[[[0.123456789]] * 8] * 8] * 1_000}).encode()[:MOST]
    yield (
        digits,
        json.dumps(
            {"instances": [{"b64": base64.b64encode(png_of(4_000, 4_000)).decode()}] * 5}
        ).encode()[:MOST],
    )
    tensor = {"name": "image", "datatype": "FP64", "shape": [1_500, 8, 8, 1], "data": [1] * 96_000}
    yield "/v2/models/digits/infer", json.dumps({"inputs": [tensor]}).encode()[:MOST]
    row = {name: " " * 300 for name in TABLE}
    yield "/v1/models/table/answer", json.dumps([row] * 400).encode()[:MOST]
    yield (
        "/v1/models/table/answer",
        json.dumps({name: ["1" * 40] * 3_000 for name in TABLE}).encode()[:MOST],
    )
    words = "".join(chance.choice(string.ascii_letters + " ,.\u4e00\u0301") for _ in range(200_000))
    yield "/v1/models/text/answer", json.dumps([words]).encode()[:MOST]
    yield "/v1/models/text/answer", json.dumps(["a b " * 20] * 8_000).encode()[:MOST]


def bodies(count):
    """Return so many (address, body, header): each of the expensive kinds, and random others."""
    chance = random.Random(0)
    made = [
        ("/v1/models/table/answer", body, {"Content-Type": "text/csv"}) for body in tables(chance)
    ]
    made += [
        ("/v1/models/power/answer", body, {"Content-Type": "text/csv"}) for body in tables(chance)
    ]
    made += [(address, body, JSON) for address, body in documents(chance)]
    small = [
        (a, b.encode() if isinstance(b, str) else b, h)
        for a, b, h in CASES.values()
        if len(b) <= MOST
    ]
    chance.shuffle(made), chance.shuffle(small)
    mixed = list(
        itertools.islice(
            itertools.chain.from_iterable(zip(made, itertools.cycle(small), strict=False)), count
        )
    )
    return mixed + [chance.choice(small) for _ in range(count - len(mixed))]


def exports(home):
    import zipfile

    write_digits(home / "digits"), write_series(home / "power")
    for name in ("table", "text"):
        with zipfile.ZipFile(GOLDEN / name / "made.zip") as archive:
            archive.extractall(
                home / f".{name}", [n for n in archive.namelist() if n.startswith("export/")]
            )
        (home / f".{name}" / "export").rename(home / name)
    return [home / name for name in ("digits", "power", "table", "text")]


class Crowd:
    """Clients of both kinds."""

    def __init__(self, server):
        self.server = server
        self.waits = []
        self.wrong = []
        self.going = True

    def honest(self):
        session = requests.Session()
        while self.going:
            began = time.perf_counter()
            response = session.post(
                f"{self.server.url}/v1/models/digits:predict", json={"instances": X}, timeout=60
            )
            self.waits.append(time.perf_counter() - began)
            if response.status_code != 200:
                self.wrong.append(response.text)
            time.sleep(0.02)

    def hostile(self, waiting):
        session = requests.Session()
        while waiting:
            address, body, header = waiting.pop()
            try:
                response = session.post(
                    self.server.url + address, body, headers=header, timeout=120
                )
                if response.status_code >= 500 and response.status_code != 503:
                    self.wrong.append((address, body[:50], response.text))
            except requests.RequestException:
                if self.going:  # it is cut off at the end
                    session = requests.Session()

    def __enter__(self):
        self.threads = [
            threading.Thread(target=self.honest, daemon=True) for _ in range(HONEST_CLIENTS)
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()

    def slowest_of_a_hundred(self):
        assert len(self.waits) > 100 and not self.wrong, self.wrong[:3]
        return float(np.quantile(self.waits, 0.99))


@contextmanager
def busy(count):
    """Keep so many processors busy, as reading hostile bodies does."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    yield
    for other in others:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("count", "seconds"), [(30, 1.0), pytest.param(200, 0.2, marks=pytest.mark.slow)]
)
def test_honest_clients_among_hostile_clients(tmp_path, count, seconds):
    """While other tests keep the processors busy, an honest client may wait a second."""
    with serving(tmp_path, *exports(tmp_path)) as server:
        for name in ("power", "table", "text"):  # they are opened at their first request
            server.post(f"/v1/models/{name}/answer", json=[])
        server.answers("digits", X)
        with busy(2), Crowd(server) as alone:
            time.sleep(2)
        quiet = alone.slowest_of_a_hundred()
        waiting = bodies(count)
        assert len(waiting) == count and max(len(body) for _, body, _ in waiting) <= MOST
        with Crowd(server) as crowd:
            threads = [
                threading.Thread(target=crowd.hostile, args=(waiting,))
                for _ in range(HOSTILE_CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        slowest, peak = crowd.slowest_of_a_hundred(), server.peak()
        print(
            f"{len(crowd.waits)} honest answers, of which 99 % within {slowest * 1e3:.0f} ms (alone {quiet * 1e3:.0f})"
        )
        print(f"memory {peak:.0f} MiB")
        if slowest >= max(seconds, SLOWER * quiet):  # the machine may be busier than before
            with busy(2), Crowd(server) as alone:
                time.sleep(2)
            quiet = max(quiet, alone.slowest_of_a_hundred())
        assert slowest < max(seconds, SLOWER * quiet)
        assert peak < MEBIBYTES
        last = bodies(HOSTILE_CLIENTS * 4)
        leaving = Crowd(server)
        for _ in range(HOSTILE_CLIENTS):
            threading.Thread(target=leaving.hostile, args=(last,), daemon=True).start()
        time.sleep(0.3)
        leaving.going = False
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        last.clear()
        took = time.monotonic() - began
        print(f"ended after {took:.1f} s")
        assert took < END + 2 * starting(tmp_path)
