"""Seconds and memory of a process, and of steps inside it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def pin_to_one_core() -> None:
    """Keep this process on one core, so that nothing a package starts beside it runs for free."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextmanager
def measure_cost() -> Iterator[dict[str, float]]:
    """Measure a block: CPU seconds (children included), wall seconds, peak memory [MB] above what was held before."""
    cost: dict[str, float] = {}
    with suppress(OSError):  # else the peak of loading the data, or of the process that started this one, stands
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    memory, cpu, wall = peak_memory_mb(), _cpu_seconds(), time.perf_counter()
    yield cost
    cost |= {"cpu_s": _cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall, "peak_mb": peak_memory_mb() - memory}


@contextmanager
def record_time(times: dict[str, dict[str, float]], name: str) -> Iterator[None]:
    """Write wall seconds and CPU seconds of a block to ``times[name]``."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    times[name] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


class StepClock:
    """Wall seconds of consecutive steps, by name: ``finish_step`` ends one and starts the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def finish_step(self, name: str) -> None:
        """Write the seconds since the last step, or since the clock was made, under ``name``."""
        now = time.perf_counter()
        self.seconds[name], self._started = now - self._started, now

    @property
    def total(self) -> float:
        """Seconds of all steps together."""
        return sum(self.seconds.values())


def peak_memory_kib() -> float:
    """Return the largest resident memory of this process so far [KiB]."""
    # ``ru_maxrss`` of a child starts at that of its parent, VmHWM does not.
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM"):
            return float(line.split()[1])
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "darwin" else 1)  # macOS counts bytes


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far [MB]."""
    return peak_memory_kib() / 1024


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    import resource  # not on Windows

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
