"""How much memory there is for data: what the machine has free, within what a container or a user allows."""

import os
import re
from contextlib import suppress
from pathlib import Path

from kzoo.utils.errors import KzooError

SHARE = 0.5  # of the free memory that data may take: reading it takes more for a while, and training needs some too
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.I)
_UNLIMITED = 1 << 50  # what stands for "no limit" in the first version of control groups is above it


def free_memory() -> int:
    """Return how many bytes data may fill, together with all else: `$KZOO_MEMORY` ("2GiB"), else what is free.

    What is free is the machine's available memory, or less where a control group (a container's limit) leaves less.

    Raises:
        KzooError: `$KZOO_MEMORY` is no size.
    """
    if said := os.environ.get("KZOO_MEMORY"):
        return _bytes(said)
    return min([_available(), *_left_by_groups()])


def too_large(size) -> bool:
    """Say whether data of so many bytes in memory is to stay on disk instead, and be read as it is needed."""
    return size > SHARE * free_memory()


def _bytes(said):
    found = _SIZE.fullmatch(said)
    if not found:
        raise KzooError(f"KZOO_MEMORY={said!r} is no size, such as 500MiB or 2GiB.")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))


def _available():
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    with suppress(AttributeError, OSError, ValueError):  # macOS says how much there is, not how much is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 << 30  # Windows does not say without a package


def _left_by_groups(root=Path("/sys/fs/cgroup"), groups=Path("/proc/self/cgroup")):
    """Yield the bytes that each control group of this process, and each above it, leaves: its limit less its use."""
    with suppress(OSError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top, limit, use = (
                (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
                if controllers
                else (root, "memory.max", "memory.current")
            )
            folder = top / path.lstrip("/")
            for place in (folder, *folder.parents):
                with suppress(OSError, ValueError):  # "max" is no number: no limit
                    most = int((place / limit).read_text(encoding="ascii"))
                    if most < _UNLIMITED:
                        used = int((place / use).read_text(encoding="ascii"))
                        yield max(most - used + _cache(place), 0)
                if place == top:
                    break


def _cache(place):
    """Return how many bytes of a group's use are pages of files, which it gives back when it needs them."""
    with suppress(OSError, StopIteration, ValueError):
        lines = (place / "memory.stat").read_text(encoding="ascii").splitlines()
        return next(
            int(line.split()[1]) for line in lines if line.split()[0] in ("inactive_file", "total_inactive_file")
        )
    return 0
