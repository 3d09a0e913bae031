"""Memory available for data: what the machine has free, within the limit of a container or of the user."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kzoo.utils.errors import KzooError

# of free memory that data may take: reading needs more temporarily, and training needs some as well
SHARE = 0.5
# bytes of the outputs of all layers for a batch; most networks hold a fraction of them
_MOST_OF_BATCH = 1 << 30
_NEGLIGIBLE = 1 << 26  # bytes that are not compared with the free memory
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.I)
_UNLIMITED = 1 << 50  # bytes; control groups v1 write "no limit" as a larger number


def free_memory() -> int:
    """Return how many bytes data may take in total: `$KZOO_MEMORY` (such as "2GiB"), else the free memory.

    Free memory is what the machine has available, or less where a control group (a container's limit) leaves less.

    Raises:
        KzooError: `$KZOO_MEMORY` is not a size.
    """
    if setting := os.environ.get("KZOO_MEMORY"):
        return parse_size("KZOO_MEMORY", setting)
    return min([_available_memory(), *_memory_left_in_groups()])


def too_large(size: float) -> bool:
    """Return True if data of `size` bytes should stay on disk and be read on demand instead of being held in memory."""
    return size > SHARE * free_memory()


def rows_that_fit(row_size: int, rows: int) -> int:
    """Return `rows`, or fewer, at least 1, if a network holds too many bytes for that many rows.

    Args:
        row_size: bytes of the outputs of all layers of a network for a row; 0 if they are unknown.
        rows: the number of rows that is wanted.
    """
    if rows * row_size <= _NEGLIGIBLE:
        return rows
    return max(1, min(rows, int(min(_MOST_OF_BATCH, SHARE * free_memory()) // row_size)))


def parse_size(variable: str, setting: str) -> int:
    """Return the bytes of the size in an environment variable.

    Raises:
        KzooError: it is not a size.
    """
    match = _SIZE.fullmatch(setting)
    if not match:
        raise KzooError(
            f"{variable}={setting!r} is not a size. Use a number with a unit, such as 500MiB or 2GiB."
        )
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def _available_memory() -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(
            int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")
        )
    with suppress(AttributeError, OSError, ValueError):  # macOS: total memory, not free memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 << 30  # Windows: not available from the standard library


def _memory_left_in_groups(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Yield the free memory in bytes (limit minus usage) of each control group of this process and its ancestors."""
    with suppress(OSError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            if controllers:  # version 1
                top = root / "memory"
                limit = "memory.limit_in_bytes"
                use = "memory.usage_in_bytes"
            else:
                top = root
                limit = "memory.max"
                use = "memory.current"
            folder = top / path.lstrip("/")
            for group in (folder, *folder.parents):
                with suppress(OSError, ValueError):  # "max" is not a number and means no limit
                    most = int((group / limit).read_text(encoding="ascii"))
                    if most < _UNLIMITED:
                        used = int((group / use).read_text(encoding="ascii"))
                        yield max(most - used + _reclaimable_bytes(group), 0)
                if group == top:
                    break


def _reclaimable_bytes(group: Path) -> int:
    """Return how many bytes of a group's usage are file pages, which the system frees when memory is needed."""
    with suppress(OSError, StopIteration, ValueError):
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
        return next(
            int(line.split()[1])
            for line in lines
            if line.split()[0] in ("inactive_file", "total_inactive_file")
        )
    return 0
