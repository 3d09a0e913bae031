"""What the server has done, counted, as Prometheus reads it. Standard library only."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_UNKNOWN = "-"  # the model of a request to none: names that strangers make up are no labels


class Metrics:
    """Counters of one server; only its own thread writes them."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: Counter[tuple[str, float]] = Counter()
        self.spent: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self._began = time.time()

    def request(self, model: str | None, status: int, seconds: float) -> None:
        """Count a request that is over."""
        model = model or _UNKNOWN
        self.requests[model, status] += 1
        self.spent[model] += seconds  # type: ignore[assignment]  # a Counter of seconds
        self.seconds[model, next((most for most in SECONDS if seconds <= most), float("inf"))] += 1

    def batch(self, model: str, rows: int) -> None:
        """Count rows that went through a model together."""
        self.rows[model] += rows
        self.batches[model] += 1

    def text(self, waiting: Mapping[str, int], versions: Mapping[str, Mapping[str, bool]]) -> str:
        """Return all of it in Prometheus' text format.

        Args:
            waiting: model -> requests that are not answered yet.
            versions: model -> version -> whether it is open.
        """
        return "\n".join(self._lines(waiting, versions)) + "\n"

    def _lines(self, waiting: Mapping[str, int], versions: Mapping[str, Mapping[str, bool]]) -> Iterator[str]:
        yield from _head("kzoo_requests_total", "counter", "Requests, by model and status.")
        for (model, status), count in sorted(self.requests.items()):
            yield f'kzoo_requests_total{{model="{model}",status="{status}"}} {count}'
        yield from _head("kzoo_request_seconds", "histogram", "From the header of a request to the end of its answer.")
        for model in sorted(self.spent):
            total = 0
            for most in (*SECONDS, float("inf")):
                total += self.seconds[model, most]
                word = "+Inf" if most == float("inf") else f"{most:g}"
                yield f'kzoo_request_seconds_bucket{{model="{model}",le="{word}"}} {total}'
            yield f'kzoo_request_seconds_sum{{model="{model}"}} {self.spent[model]:.6f}'
            yield f'kzoo_request_seconds_count{{model="{model}"}} {total}'
        for name, help, counts in (
            ("kzoo_rows_total", "Inputs that a model has answered.", self.rows),
            (
                "kzoo_batches_total",
                "How often a model was called.",
                self.batches,
            ),
        ):
            yield from _head(name, "counter", help)
            yield from (f'{name}{{model="{model}"}} {count}' for model, count in sorted(counts.items()))
        yield from _head("kzoo_waiting", "gauge", "Requests that are not answered yet.")
        yield from (f'kzoo_waiting{{model="{model}"}} {count}' for model, count in waiting.items())
        yield from _head("kzoo_version_open", "gauge", "Versions that there are: 1 where it is in memory.")
        for model, numbers in versions.items():
            for number, is_open in numbers.items():
                yield f'kzoo_version_open{{model="{model}",version="{number}"}} {int(is_open)}'
        yield from _head("process_start_time_seconds", "gauge", "When the server began.")
        yield f"process_start_time_seconds {self._began:.3f}"
        yield from _head("process_cpu_seconds_total", "counter", "Seconds of processor time.")
        yield f"process_cpu_seconds_total {time.process_time():.3f}"
        if (memory := _memory()) is not None:
            yield from _head("process_resident_memory_bytes", "gauge", "Memory that is in use.")
            yield f"process_resident_memory_bytes {memory}"


def _head(name: str, type: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {type}"


def _memory() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
