"""Where the halves of a kind or task are: those of kzoo in the package of their border, those of a plug-in beside
it."""

import sys
from importlib.util import find_spec

# Package of descriptions -> half -> the module that has it.
_HALVES = {
    "kzoo.problems.kinds": {
        "inference": "kzoo.inference.kinds.{}.inference",
        "fitting": "kzoo.data.inputs.{}.fitting",
    },
    "kzoo.problems.tasks": {
        "inference": "kzoo.inference.tasks.{}",
        "fitting": "kzoo.zoo.losses.{}",
        "score": "kzoo.training.scores.{}",
        "target": "kzoo.data.targets.{}",
    },
}


def half_of(room: str, part: str, former: str = "") -> str:
    """Return the name of the module of a half.

    Args:
        room: the module or package that describes the kind or task.
        part: "inference", "fitting", "score" or "target".
        former: the earlier name of the module, which plug-ins may still use.
    """
    package, _, name = room.rpartition(".")
    if package in _HALVES and not hasattr(sys.modules[room], "__path__"):  # no folder of its own
        return _HALVES[package][part].format(name)
    is_former = former and find_spec(f"{room}.{part}") is None and find_spec(f"{room}.{former}")
    return f"{room}.{former if is_former else part}"
