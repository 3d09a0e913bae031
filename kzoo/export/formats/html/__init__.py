"""One HTML file: the model and a page for it, which a browser opens without a server or network."""

import base64
import json
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.export.format import Format, refuses_votes
from kzoo.problems.kinds import kind
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.export.worker import Network


_MOST_BYTES = 40_000_000
_RUNTIME = "node"
_BUNDLE = "kzoo.export.formats.html.bundle"
_UNSUPPORTED = "language models are not supported. Export to onnx, for kzoo serve"


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write the page with the model in it."""
    stored, facts, weights = parts(network)
    html = import_module(_BUNDLE).page(stored, facts, weights)
    check_size(len(html.encode("utf-8")))
    file.write_text(html, "utf-8", newline="\n")
    return dict(weights=len(weights))


def parts(network: "Network") -> tuple[JsonObject, JsonObject, bytes]:
    """Return what the page stores: the model, the facts that it shows, and the weights.

    Raises:
        KzooError: the page cannot compute the model.
    """
    if not _is_supported(network.input_name, network.spec.get("task")):
        raise KzooError(_UNSUPPORTED)
    description = import_module("kzoo.export.formats.html.description")
    program_module = import_module("kzoo.export.program.javascript")
    stored = description.stored_model(network)
    weights = program_module.weights(network.program)
    stored["network"] = program_module.description(network.program)
    return stored, description.page_facts(network, stored), weights


def check_size(size: int) -> None:
    """Raise KzooError if a page has too many bytes."""
    if size > _MOST_BYTES:
        raise KzooError(
            f"the page would have {size / 1e6:,.0f} MB, more than {_MOST_BYTES / 1e6:.0f}. Use a smaller preset, "
            "such as tabular_fnn or tabular_tabm, or another format"
        )


def _is_supported(inputs: str, task: str | None) -> bool:
    """Return whether the page has forms for a kind of input; texts are not continued."""
    described = kind(inputs)
    if task is not None and problem(task).continues_inputs:
        return False
    return described.is_table or bool({"pixels", "ids", "steps"} & described.facts)


def _cannot_run() -> str | None:
    if shutil.which(_RUNTIME) is not None:
        return None
    return "Node.js is not installed, so that it was not run; open it in a browser"


class Session:
    """The script of a page, a file or a folder, run by Node.js.

    Raises:
        KzooError: Node.js is not installed, or the script fails.
    """

    batch: int | None = None

    def __init__(self, path: Path, *, name: str, threads: int | None = None) -> None:
        program = shutil.which(_RUNTIME)
        if program is None:
            raise KzooError(f"{name} needs Node.js, and it is not installed.")
        self._name = name
        self._process = subprocess.Popen(
            [program, str(Path(__file__).with_name("session.mjs")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self.runtime = f"{_RUNTIME} {self._ask({}, 'version').removeprefix('v')}"
        horizon = self._ask({}, "horizon")
        self._steps = (int(horizon),) if horizon else ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(x, np.float32)
        content = base64.b64encode(rows.tobytes()).decode()
        answer = self._ask({"rows": content, "count": len(rows)}, "outputs")
        return np.frombuffer(base64.b64decode(answer), np.float32).reshape(
            len(rows), *self._steps, -1
        )

    def _ask(self, question: JsonObject, key: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or "{}")
        except (OSError, ValueError):
            answer = {}
        if key not in answer:
            raise KzooError(f"{self._name} fails: {answer.get('error', 'its script has an error')}")
        return str(answer[key])

    def __del__(self) -> None:
        if process := getattr(self, "_process", None):
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def _refuses(spec: JsonObject) -> str | None:
    inputs = spec["config"].get("inputs")
    if inputs and not _is_supported(inputs, spec["task"]):
        return _UNSUPPORTED
    return refuses_votes(spec)


FORMAT = Format(
    name="html",
    order=70,
    file="html/model.html",
    packages=(),
    write=write,
    open=Session,
    needs=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
    refuses=_refuses,
    cannot_run=_cannot_run,
    is_code=True,
)
