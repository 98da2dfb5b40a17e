"""What does the package find, or refuse, in measured scans?

python -m benchmarks.nmf.run_measured OUT_DIR FILE ... [--scan-bin N] [--channel-bin N] [--highest K] [--draw]

Reads what ``phasekit.io.open_4dstem`` reads, spectrum images (``.bcf .pts .spd``) and tike's ``.npz.bz2``. Each file
gives one JSON: k, its probability and interval, every rule's vote, the evidence and the seconds. A step that refuses is
written down with its message. ``--draw`` puts a figure of the components and their maps beside it.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.errors import PhasekitError

from ..harness import write_json
from .common import find_code_state
from .measured import compute_sha256, is_spectrum_image, open_measured
from .run_recovery import ask_phasekit

EVIDENCE = ("log_evidence", "electron_excess", "neighbour_excess", "gain", "stability", "redundancy", "relative_error")
WIDEST = 8  # components in one row of the figure


def main() -> None:
    """Judge every file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--scan-bin", type=int, default=1, help="sum this many scan points along each axis")
    parser.add_argument("--channel-bin", type=int, default=1, help="sum this many energy channels")
    parser.add_argument("--first-channel", type=int, default=0, help="energy channels below it are left out")
    parser.add_argument(
        "--least", type=int, default=0, help="channels with fewer counts in the whole scan are left out"
    )
    parser.add_argument("--detector-bin", type=int, default=1, help="argument bin of to_features")
    parser.add_argument("--highest", type=int, default=14, help="largest k, where the scan allows it")
    parser.add_argument("--runs", type=int, default=5, help="runs of scan_ranks")
    parser.add_argument("--name", default="", help="of the results, in front of the name of the file")
    parser.add_argument("--draw", action="store_true", help="a figure for each file")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for path in chosen.files:
        stem = chosen.out / f"{chosen.name}{path.name.split('.')[0]}"
        result, factors = judge_file(path, chosen)
        write_json(stem.with_suffix(".json"), result)
        if chosen.draw and factors is not None:
            draw_components(factors, stem.with_suffix(".png"))


def judge_file(path: Path, chosen: argparse.Namespace) -> tuple[dict[str, Any], xr.Dataset | None]:
    """Everything that the package says of one file, and the components of its choice."""
    result: dict[str, Any] = {"file": path.name, "sha256": compute_sha256(path), "code": find_code_state(__file__)}
    step = "open"
    try:
        how = {"scan_bin": chosen.scan_bin, "channel_bin": chosen.channel_bin, "first_channel": chosen.first_channel}
        patterns = open_measured(path, **how)
        result |= describe_scan(patterns)
        step = "to_features"
        mask = find_lit_channels(patterns, chosen.least) if is_spectrum_image(patterns) else "auto"
        features = pk.nmf.to_features(patterns, mask=mask, bin=chosen.detector_bin)
        result["features"] = features.sizes["feature"]
        result["counts_are_whole"] = int(features.attrs["counts"])
        step = "scan_ranks"
        started = time.process_time()
        highest = min(chosen.highest, max(3, min(patterns.sizes["scan_y"] * patterns.sizes["scan_x"] // 2, 99)))
        ranks = pk.nmf.scan_ranks(features, range(1, highest + 1), n_runs=chosen.runs, progress=False)
        result["cpu_s"] = round(time.process_time() - started, 2)
        result["ranks"] = ranks["rank"].to_numpy().tolist()
        result["evidence"] = {key: np.round(ranks[key].to_numpy(), 3).tolist() for key in EVIDENCE if key in ranks}
        step = "rank_votes"
        result["phasekit"] = ask_phasekit(ranks)
        step = "factorise"
        factors = pk.nmf.factorise(features, result["phasekit"]["chosen"])
    except PhasekitError as error:
        return result | {"refused": {"step": step, "error": type(error).__name__, "message": str(error)}}, None
    result["explained"] = np.round(factors["explained"].to_numpy(), 4).tolist()
    return result, factors


def describe_scan(patterns: xr.Dataset) -> dict[str, Any]:
    """Sizes, and counts per scan point."""
    totals = patterns["intensity"].sum(("qy", "qx"), dtype=np.float64).to_numpy()
    return {
        "sizes": {str(name): int(size) for name, size in patterns.sizes.items()},
        "dtype": str(patterns["intensity"].dtype),
        "counts_per_point": {"mean": float(totals.mean()), "least": float(totals.min()), "most": float(totals.max())},
    }


def find_lit_channels(patterns: xr.Dataset, least: int) -> xr.DataArray:
    """True where a channel has at least ``least`` counts in the whole scan."""
    return patterns["intensity"].sum(("scan_y", "scan_x")) >= max(least, 1)


def draw_components(factors: xr.Dataset, path: Path) -> None:
    """Patterns (or spectra, logarithmic) above, maps below."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    count = min(factors.sizes["component"], WIDEST)
    figure, axes = plt.subplots(2, count, figsize=(3.4 * count, 6.4), squeeze=False, layout="constrained")
    for i in range(count):
        pattern = factors["factor"].isel(component=i).to_numpy()
        if pattern.shape[0] == 1:
            axes[0, i].semilogy(factors["qx"], np.maximum(pattern[0], np.nanmax(pattern) * 1e-4), lw=0.7)
        else:
            axes[0, i].imshow(np.sqrt(np.maximum(pattern, 0)), cmap="cividis")
        shown = axes[1, i].imshow(factors["loading"].isel(component=i).to_numpy(), cmap="cividis")
        figure.colorbar(shown, ax=axes[1, i], label="loading", shrink=0.7)
        axes[0, i].set_title(f"component {i}, {100 * float(factors['explained'][i]):.1f} %")
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
