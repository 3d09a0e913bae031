"""The process of a retraining: it runs the recorded command, and tells what differs.

It reads a job as a line of JSON, and writes lines of JSON: `differences` before the training, then `weights` and
`score`; or `error`. It ends when its input ends.
"""

import hashlib
import json
import os
import re
import runpy
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kzoo.evaluation.retrain import TOLERANCE
from kzoo.problems.stored_types import Request
from kzoo.training.provenance import provenance
from kzoo.training.train import observed_request
from kzoo.utils import onednn
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.results import deciding_score, value_of
from kzoo.zoo.run import Run

_NARROWED = "ONEDNN_MAX_CPU_ISA"  # limits the instructions that oneDNN uses


def main() -> None:
    job = json.loads(sys.stdin.buffer.readline())
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print
    threading.Thread(target=_end_with_input, daemon=True).start()

    def tell(**event: Any) -> None:
        print(json.dumps(event), file=stream, flush=True)

    run = Run(job["run"])
    sys.argv = ["kzoo", "train", *job["words"]]
    try:
        with observed_request(_observer(run, tell)), open(os.devnull, "w") as nowhere:
            sys.stdout = nowhere  # the result of the command
            runpy.run_module("kzoo", run_name="__main__")
    except KzooError as error:
        tell(error=str(error))
        return
    except SystemExit as end:
        if end.code:
            return
    repeated = Run(job["out"])
    tell(
        weights=compare_weights(run, repeated),
        score=compare_scores(run, repeated),
        **{name: repeated.config[name] for name in ("machine", "versions", "processor", "threads")},
    )


def _end_with_input() -> None:
    """End this process when its input ends, be it in the middle of a step."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def _observer(run: Run, tell: Callable[..., None]) -> Callable[[Request], None]:
    is_first = True

    def observe(request: Request) -> None:
        nonlocal is_first
        if not is_first:  # a second training of the same call, without repairs
            return
        is_first = False
        differences = differing(run.config, request)
        data = any(name == "data" for name, _ in differences)
        tell(differences=differences, **({"stopped": True} if data else {}))
        if data:
            raise SystemExit(1)

    return observe


def differing(config: JsonObject, request: Request) -> list[tuple[str, str]]:
    """Return what differs between a recorded training and one that begins here: pairs of what it is, and a text.

    Args:
        config: the recorded `config.json`.
        request: what is to be trained.
    """
    now = provenance()
    pairs = []
    before, after = config["data"]["fingerprint"], request.data.fingerprint
    if before != after:
        pairs.append(("data", f"sha256 {before} recorded, {after} here"))
    names = dict.fromkeys(("kzoo", "python", "keras", *now["versions"]))
    for name in names:
        old, new = config.get("versions", {}).get(name), now["versions"].get(name)
        if old != new:
            pairs.append(("version", f"{name} {old or 'none'} recorded, {new or 'none'} here"))
    for line in (
        request.differences(config) if before == after else ()
    ):  # other data learn other settings
        if not line.startswith("data."):
            name, _, values = line.partition(": stored ")
            old, _, new = values.partition(", now ")
            pairs.append(("setting", f"{name} {old} recorded, {new} here"))
    onednn_before = onednn.recorded(config)
    if None not in (onednn_before, now["onednn"]) and onednn_before != now["onednn"]:
        old, new = (("on" if value else "off") for value in (onednn_before, now["onednn"]))
        pairs.append(("setting", f"oneDNN {old} recorded, {new} here ({onednn.VARIABLE})"))
    for name in ("processor", "device"):
        old, new = config.get(name), now[name]
        if old is not None and old != new:
            old, new = (
                (" ".join(v) if isinstance(v, list) else v) or "unknown" for v in (old, new)
            )
            pairs.append(("processor", f"{old} recorded, {new} here"))
    if now["device"] != "cpu" and not config.get("deterministic"):
        pairs.append(
            (
                "processor",
                f"a {now['device']} does not compute the same bits twice without --deterministic",
            )
        )
    if narrowed := os.environ.get(_NARROWED):
        pairs.append(("processor", f"narrowed here by {_NARROWED}={narrowed}"))
    threads = config.get("threads") or _cores(config.get("machine", ""))
    if threads != now["threads"]:
        pairs.append(("threads", f"{threads or 'unknown'} recorded, {now['threads']} here"))
    return pairs


def _cores(machine: str) -> int | None:
    """Return the number of cores in the description of a machine, of a run that does not record its threads."""
    match = re.search(r"(\d+) cores", machine)
    return None if match is None else int(match[1])


def compare_weights(run: Run, repeated: Run) -> JsonObject:
    """Return the comparison of the best weights of two runs, see `Retraining.weights`."""
    before, after = _arrays(run), _arrays(repeated)
    comparison: JsonObject = dict(
        arrays=len(before), sha256={name: _hash(array) for name, array in before.items()}
    )
    for name, array in before.items():
        other = after.get(name)
        if other is not None and _hash(other) == comparison["sha256"][name]:
            continue
        layer, _, part = name.partition("/")
        comparison |= dict(
            layer=layer, array=part or layer, difference=_largest_difference(array, other)
        )
        break
    if "layer" not in comparison and set(after) != set(before):
        comparison |= dict(
            layer=min(set(after) ^ set(before)).partition("/")[0], array="", difference=None
        )
    return comparison


def _arrays(run: Run) -> dict[str, np.ndarray]:
    """Return path -> array of the weights of a run, in the order of the layers."""
    return {
        f"{layer.name}/{weight.path.removeprefix(layer.name).strip('/')}": np.asarray(weight)
        for layer in run.model.layers
        for weight in layer.weights
    }


def _hash(array: np.ndarray) -> str:
    head = f"{array.dtype} {array.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _largest_difference(one: np.ndarray, other: np.ndarray | None) -> float | None:
    """Return the largest difference of two arrays; None if their shapes differ."""
    if other is None or other.shape != one.shape:
        return None
    return float(np.max(np.abs(one.astype(float) - other.astype(float)), initial=0))


def compare_scores(run: Run, repeated: Run) -> JsonObject | None:
    """Return the score that decides of two runs, on the test split or else the validation split; None without one."""
    summary = run.summary
    split = next((name for name in ("test", "validation") if summary.get(name)), None)
    if split is None:
        return None
    name = str(deciding_score(run.spec.training, summary[split], run.problem))
    recorded, here = (value_of(each.summary[split], name) for each in (run, repeated))
    if recorded is None or here is None:
        return None
    return dict(
        name=name,
        split=split,
        recorded=recorded,
        here=here,
        tolerance=max(TOLERANCE * abs(recorded), 2 / summary[split].get("examples", np.inf)),
    )
