"""oneDNN in TensorFlow, enabled on processors with AVX2 and FMA. Standard library only.

TensorFlow on Linux enables it only on processors with VNNI, bfloat16 or AMX, which most laptops and many servers lack;
it is faster without these, too (`tests/benchmarks/README.md`). Results differ by rounding, so a run records the setting
and keeps it when it is resumed.

TensorFlow reads the environment variable `TF_ENABLE_ONEDNN_OPTS` once, when its library is loaded, and keeps the value
in a static variable: nothing switches oneDNN afterwards. A value set by the user is kept.
"""

import os
import sys

from kzoo.utils.files import JsonObject
from kzoo.utils.processor import instruction_sets

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_NEEDED = {"avx2", "fma"}
# `DefaultOneDnnPolicy` in TensorFlow
_DEFAULT = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16"}
_WORDS = {"1": True, "true": True, "0": False, "false": False}

_prepared = False
_at_import: str | None = None  # the variable's value at TensorFlow's import, if `prepare` ran
_advised = False


def prepare() -> None:
    """Enable oneDNN if it is faster and the user has not set it; called right before TensorFlow is imported."""
    global _prepared, _at_import
    if _is_worth_enabling():
        os.environ.setdefault(VARIABLE, "1")
    _prepared, _at_import = True, os.environ.get(VARIABLE)


def _is_worth_enabling() -> bool:
    """Return whether oneDNN is faster on this processor and TensorFlow does not enable it."""
    return default() is False and _NEEDED.issubset(instruction_sets())


def keep(setting: bool | None) -> None:
    """Keep the setting of a training that is resumed; None changes nothing.

    It has no effect once TensorFlow is imported, or if the user has set the variable.
    """
    if setting is not None and "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, str(int(setting)))


def recorded(config: JsonObject) -> bool | None:
    """Return the setting of a run on TensorFlow; runs that did not record it used TensorFlow's default.

    Args:
        config: the run's `config.json`.
    """
    if "onednn" in config or config.get("backend") != "tensorflow":
        return config.get("onednn")
    return default(tuple(config.get("processor", ())) or None)


def default(sets: tuple[str, ...] | None = None) -> bool | None:
    """Return whether TensorFlow enables oneDNN by default; None if unknown.

    Args:
        sets: instruction sets of the processor; None for this machine's.
    """
    sets = instruction_sets() if sets is None else sets
    if sys.platform != "linux" or "avx" not in sets:
        return None
    return not _DEFAULT.isdisjoint(sets)


def enabled() -> bool | None:
    """Return whether TensorFlow uses oneDNN in this process; None if unknown."""
    setting = _at_import if _prepared else os.environ.get(VARIABLE)
    return default() if setting is None else _WORDS.get(setting.lower(), default())


def advice() -> list[str]:
    """Return advice if TensorFlow was imported too early to enable oneDNN, once per process; else an empty list."""
    global _advised
    too_early = not _prepared and "tensorflow" in sys.modules and VARIABLE not in os.environ
    if _advised or not too_early or not _is_worth_enabling():
        return []
    _advised = True
    return [
        "TensorFlow was imported before kzoo and runs without oneDNN, with which convolutions and attention are 1.3 to "
        "1.7 times as fast on this processor. It cannot be switched afterwards: write `import kzoo` before `import "
        f"keras`, or set {VARIABLE}=1."
    ]
