"""Install kzoo without TensorFlow, as docs/how_to/without_tensorflow.md says, and measure what that takes.

python .ci/light.py [--wheel FILE]

Each block of that page after a `<!-- light NAME -->` runs in a fresh environment of this Python. There, `kzoo list` and
`show` answer; with ONNX Runtime also `predict` and `serve`, as the models of tests/golden did when they were made.
Commands whose packages are missing end in one line with the command that installs them. Sizes are those of the files in
site-packages once all this has run, without Python and pip; a size above its bar is an error. Standard library only.
"""

import argparse
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how_to" / "without_tensorflow.md"
GOLDEN = ROOT / "tests" / "golden"
BARS = {"numpy": 100, "onnxruntime": 190}  # MB of 10**6 bytes
HEAVY = ("keras", "tensorflow", "pandas", "sklearn", "scipy", "matplotlib", "rich")


def commands(name):
    """Return the `pip install` commands of a block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(rf"<!-- light {name} -->\s*```sh\n(.*?)```", text, re.S)[1]
    return [
        part.strip() for line in block.splitlines() for part in line.split("&&") if part.strip()
    ]


class Environment:
    """A fresh environment, in which pip installs but is not installed."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False)
        self.scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = next(self.scripts.glob("python*"))
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(self.run(self.python, "-c", code).stdout.strip())

    def run(self, *words, code=0):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KZOO_"))}
        done = subprocess.run(
            words, cwd=ROOT.parent, env=kept, capture_output=True, encoding="utf-8", timeout=900
        )
        assert done.returncode == code, (words, done.returncode, done.stderr[-2000:])
        return done

    def install(self, command, wheel):
        words = command.split()
        assert words[:2] == ["pip", "install"], command
        words = [str(wheel or ROOT) if word == "." else word for word in words[2:]]
        self.run(sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", *words)

    def kzoo(self, *words, code=0):
        return self.run(self.scripts / "kzoo", *words, code=code)

    def size(self):
        return sum(path.stat().st_size for path in self.site.rglob("*") if path.is_file())


def one_line(done, *words):
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words), (line, words)


def check_light(environment):
    """Check what needs no runtime."""
    for name in HEAVY:
        assert not (environment.site / name).exists(), (
            f"{name} is installed, so that nothing is shown"
        )
    assert "tabular_fnn" in environment.kzoo("list").stdout
    assert "iris_fnn" in environment.kzoo("list", "--data", "iris").stdout
    shown = json.loads(environment.kzoo("show", "iris_fnn", "--json").stdout)
    assert environment.kzoo("show", "iris_fnn").stdout and shown
    one_line(environment.kzoo("train", "iris_fnn", code=2), "keras", "pip install kzoo")


def unpacked(kind, folder):
    with zipfile.ZipFile(GOLDEN / kind / "made.zip") as archive:
        archive.extractall(folder / kind)
    return folder / kind / "export"


def expected(kind):
    text = (GOLDEN / kind / "expected.json").read_text(encoding="utf-8")
    return json.loads(text)["export onnx"]["labels"]


def check_without_runtime(environment, folder):
    export = unpacked("table", folder)
    new = GOLDEN / "table" / "new.csv"
    one_line(environment.kzoo("predict", export, new, code=2), "pip install onnxruntime")
    one_line(environment.kzoo("serve", export, code=2), "pip install starlette uvicorn httptools")


def check_with_runtime(environment, folder):
    """Check that exports answer as ever: by the command, in Python, and over HTTP."""
    table, new = unpacked("table", folder), GOLDEN / "table" / "new.csv"
    answers = json.loads(environment.kzoo("predict", table, new, "--json").stdout)["predictions"]
    assert [row["label"] for row in answers] == expected("table"), answers
    text = environment.kzoo("predict", unpacked("text", folder), "a", "--json").stdout
    assert json.loads(text)["predictions"][0]["label"] in ("glad", "sad", "so-so")
    code = "import sys, kzoo.runtime as r; print(*r.load(sys.argv[1]).predict(sys.argv[2]).labels, sep=';')"
    labels = environment.run(environment.python, "-P", "-c", code, table, new).stdout.strip()
    assert labels.split(";") == expected("table"), labels
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [environment.scripts / "kzoo", "serve", table, "--port", str(port)]
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert served(port, new.read_bytes()) == expected("table")
        finally:
            server.terminate()


def served(port, table):
    """Return the labels that a server gives for a table, once it listens."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/models/export/answer",
        data=table,
        headers={"content-type": "text/csv", "accept": "application/json"},
    )
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return [row["label"] for row in json.load(response)["predictions"]]
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("kzoo serve does not listen")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", type=Path, help="install this file instead of the checkout")
    wheel = parser.parse_args().wheel
    for name, bar in BARS.items():
        with tempfile.TemporaryDirectory() as folder:
            environment = Environment(Path(folder) / "env")
            start = time.perf_counter()
            for command in commands(name):
                environment.install(command, wheel and wheel.absolute())
            seconds = time.perf_counter() - start
            check_light(environment)
            check = check_without_runtime if name == "numpy" else check_with_runtime
            check(environment, Path(folder))
            size = environment.size() / 1e6
        print(
            f"{name}: {size:.0f} MB (bar {bar}), installed in {seconds:.0f} s, "
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        )
        assert size <= bar, f"{size:.1f} MB, of {bar}"


if __name__ == "__main__":
    main()
