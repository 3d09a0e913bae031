"""The instruction sets of the processor, which change how libraries compute. Standard library only."""

from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_SETS = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "sve",
    "sve2",
    "i8mm",
    "bf16",
)
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


@cache
def instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets of this processor that change how arrays are computed.

    Two processors with the same sets round alike. Only Linux lists them; elsewhere the tuple is empty.
    """
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return ()
    flags = next(
        (line.split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return tuple(name for name in _SETS if name in flags)


def computes_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively; emulation is slower than float32."""
    return not _BFLOAT16.isdisjoint(instruction_sets())
