"""oneDNN in TensorFlow, on where the processor has AVX2 and FMA. Standard library only.

TensorFlow on Linux turns it on by itself only where the processor has VNNI, bfloat16 or AMX, which most laptops and
many servers lack; it is faster there, too (`tests/benchmarks/README.md`). Results differ by rounding, so that a run
records the setting and keeps it when it is resumed.

TensorFlow reads the environment variable `TF_ENABLE_ONEDNN_OPTS` once, when it is imported. A value that the user has
set is left alone.
"""

import os
import sys

from kzoo.utils.processor import instruction_sets

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_NEEDED = {"avx2", "fma"}
_DEFAULT = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16"}  # `DefaultOneDnnPolicy` in TensorFlow
_WORDS = {"1": True, "true": True, "0": False, "false": False}

_prepared = False
_at_import: str | None = None  # the variable's value when TensorFlow was imported, where `prepare` saw it
_advised = False


def prepare() -> None:
    """Turn oneDNN on, where it pays and the user has not said: called right before TensorFlow is imported."""
    global _prepared, _at_import
    if _pays():
        os.environ.setdefault(VARIABLE, "1")
    _prepared, _at_import = True, os.environ.get(VARIABLE)


def _pays() -> bool:
    """Say whether oneDNN is faster here and TensorFlow leaves it off."""
    return default() is False and _NEEDED.issubset(instruction_sets())


def keep(setting: bool | None) -> None:
    """Let a training that is resumed compute as it began; None leaves it open.

    It has no effect once TensorFlow is imported, nor where the user has set the variable.
    """
    if setting is not None and "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, str(int(setting)))


def recorded(config: dict) -> bool | None:
    """Return the setting of a run on TensorFlow; one from before it was recorded had TensorFlow's default.

    Args:
        config: its `config.json`.
    """
    if "onednn" in config or config.get("backend") != "tensorflow":
        return config.get("onednn")
    return default(tuple(config.get("processor", ())) or None)


def default(sets: tuple[str, ...] | None = None) -> bool | None:
    """Return whether TensorFlow itself turns oneDNN on; None where that is not known.

    Args:
        sets: the instruction sets of the processor; None for those of this one.
    """
    sets = instruction_sets() if sets is None else sets
    if sys.platform != "linux" or "avx" not in sets:
        return None
    return not _DEFAULT.isdisjoint(sets)


def enabled() -> bool | None:
    """Return whether TensorFlow computes with oneDNN in this process; None where that is not known."""
    value = _at_import if _prepared else os.environ.get(VARIABLE)
    return default() if value is None else _WORDS.get(value.lower(), default())


def advice() -> list[str]:
    """Return a line that says, once in a process, that TensorFlow was imported too early for `prepare`."""
    global _advised
    too_early = not _prepared and "tensorflow" in sys.modules and VARIABLE not in os.environ
    if _advised or not too_early or not _pays():
        return []
    _advised = True
    return [
        "TensorFlow was imported before kzoo, without oneDNN, with which it is faster on this processor: import kzoo "
        f"first, or set {VARIABLE}=1."
    ]
