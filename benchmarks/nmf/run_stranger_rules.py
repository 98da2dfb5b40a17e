"""How many components do the rules of others find in the strangers' scans?

python -m benchmarks.nmf.run_stranger_rules OUT_DIR --judged DIR [--step 3] [--largest 64]

DIR holds the results of ``run_strangers``. The scans whose sides have at most 64 points are sorted by name, and every
third of them is asked about, beginning with the first. Every rule sees the features that phasekit saw, and chooses from
the same ranks. The rules of ``SLOW`` are asked about every second of these scans, those of ``LEFT_OUT`` not at all. One
file for each scan; a scan whose file is there is not repeated.
"""

import argparse
from pathlib import Path
from typing import Any

from ..harness import log_progress, read_json, write_json
from .common import find_code_state
from .run_recovery import ask_rules
from .run_strangers import make_features, simulate_specimen

SCRIPTS = ("run_stranger_rules.py", "rules.py", "fits.py", "stability.py", "ard.py")
STEP, LARGEST = 3, 64
LEFT_OUT = ("cophenetic correlation",)  # a quarter of the time, and the least exact of part two of the report
SLOW = ("bi-cross-validation", "NMFk silhouettes", "Poisson thinning alone")


def main() -> None:
    """Ask the rules about the scans that are missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--judged", type=Path, required=True, help="results of run_strangers")
    parser.add_argument("--step", type=int, default=STEP)
    parser.add_argument("--largest", type=int, default=LARGEST, help="scan points along a side")
    chosen = parser.parse_args()
    for i, path in enumerate(select_scans(chosen.judged, chosen.step, chosen.largest)):
        if not (chosen.out / path.name).exists():
            log_progress(path.stem)
            left_out = (*LEFT_OUT, *SLOW) if i % 2 else LEFT_OUT
            write_json(chosen.out / path.name, _judge_scan(read_json(path), left_out))


def select_scans(judged: Path, step: int, largest: int) -> list[Path]:
    """Every so-many-th of the results whose scans are small enough, by name."""
    paths = sorted(judged.glob("*.json"))
    return [path for path in paths if max(read_json(path)["case"]["shape"]) <= largest][::step]


def _judge_scan(judged: dict[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    """The vote of every rule on one scan, beside what phasekit said of it."""
    features = make_features(simulate_specimen(judged["case"]))
    kept = ("case", "truth", "exactly_linear", "ranks", "phasekit")
    rules = ask_rules(features, judged["ranks"], left_out=left_out)
    return {name: judged[name] for name in kept} | {"rules": rules, "code": find_code_state(*SCRIPTS)}


if __name__ == "__main__":
    main()
