"""Counters of the server in the text format of Prometheus. Standard library only."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEDIA = "text/plain; version=0.0.4; charset=utf-8"
# label of requests without a valid model: names from requests must not become labels
_UNKNOWN = "-"


class Metrics:
    """Counters of a server; they are written by its event loop thread only."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: Counter[tuple[str, float]] = Counter()
        self.spent: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self._start_time = time.time()

    def request(self, model: str | None, status: int, seconds: float) -> None:
        """Count a finished request."""
        model = model or _UNKNOWN
        self.requests[model, status] += 1
        self.spent[model] += seconds  # type: ignore[assignment]  # a Counter of seconds
        self.seconds[
            model, next((bound for bound in SECONDS if seconds <= bound), float("inf"))
        ] += 1

    def batch(self, model: str, rows: int) -> None:
        """Count a batch and its rows."""
        self.rows[model] += rows
        self.batches[model] += 1

    def text(self, waiting: Mapping[str, int], versions: Mapping[str, Mapping[str, bool]]) -> str:
        """Return all metrics in the text format of Prometheus.

        Args:
            waiting: dict of model -> number of pending requests.
            versions: dict of model -> version -> whether it is loaded.
        """
        return "\n".join(self._lines(waiting, versions)) + "\n"

    def _lines(
        self, waiting: Mapping[str, int], versions: Mapping[str, Mapping[str, bool]]
    ) -> Iterator[str]:
        yield from _head("kzoo_requests_total", "counter", "Requests, by model and status.")
        for (model, status), count in sorted(self.requests.items()):
            yield f'kzoo_requests_total{{model="{model}",status="{status}"}} {count}'
        yield from _head(
            "kzoo_request_seconds",
            "histogram",
            "Seconds from the header of a request to the end of its response.",
        )
        for model in sorted(self.spent):
            total = 0
            for bound in (*SECONDS, float("inf")):
                total += self.seconds[model, bound]
                label = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f'kzoo_request_seconds_bucket{{model="{model}",le="{label}"}} {total}'
            yield f'kzoo_request_seconds_sum{{model="{model}"}} {self.spent[model]:.6f}'
            yield f'kzoo_request_seconds_count{{model="{model}"}} {total}'
        for name, help, counts in (
            ("kzoo_rows_total", "Inputs processed, by model.", self.rows),
            (
                "kzoo_batches_total",
                "Batches run, by model.",
                self.batches,
            ),
        ):
            yield from _head(name, "counter", help)
            yield from (
                f'{name}{{model="{model}"}} {count}' for model, count in sorted(counts.items())
            )
        yield from _head("kzoo_waiting", "gauge", "Pending requests, by model.")
        yield from (f'kzoo_waiting{{model="{model}"}} {count}' for model, count in waiting.items())
        yield from _head(
            "kzoo_version_open", "gauge", "Available versions: 1 if loaded in memory, else 0."
        )
        for model, open_versions in versions.items():
            for number, is_open in open_versions.items():
                yield f'kzoo_version_open{{model="{model}",version="{number}"}} {int(is_open)}'
        yield from _head(
            "process_start_time_seconds",
            "gauge",
            "Start time of the server, in seconds since the epoch.",
        )
        yield f"process_start_time_seconds {self._start_time:.3f}"
        yield from _head("process_cpu_seconds_total", "counter", "CPU time in seconds.")
        yield f"process_cpu_seconds_total {time.process_time():.3f}"
        if (memory := _memory()) is not None:
            yield from _head("process_resident_memory_bytes", "gauge", "Resident memory in bytes.")
            yield f"process_resident_memory_bytes {memory}"


def _head(name: str, type: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {type}"


def _memory() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
