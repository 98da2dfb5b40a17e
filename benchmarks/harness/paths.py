"""Folders of the benchmarks."""

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
#: Found by its place: the environments of the peers do not have phasekit installed.
PACKAGE = ROOT / "phasekit"
#: Results of single runs, by benchmark; git ignores them.
RUNS = BENCHMARKS / ".runs"
#: Python environments of the peers; git ignores them.
ENVIRONMENTS = BENCHMARKS / ".envs"
