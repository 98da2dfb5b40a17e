"""Numbers of the benchmark -> a page of Markdown and one figure."""

from pathlib import Path
from typing import Any

from ..harness import markdown_table, save_report
from .collect import DOSES, collect_results

INTRODUCTION = (
    "Made by `make bench-acom`; figures of another machine will differ, ratios little. One simulated scan for all "
    "(64 x 64 patterns of 128 x 128 pixels, 108 grains of Ni, LiFePO4 and trigonal LiCoO2, 1 degree precession, "
    "200 kV), Poisson counts of four doses. Which maxima phasekit keeps as weak peaks was chosen on this scan, so "
    "a scan of other grains, used for nothing else, stands beside it. Every package has its own environment with "
    "pinned versions, one thread, 2-degree banks. pyxem works on the images; py4DSTEM and phasekit on peaks. "
    "py4DSTEM's threshold is tried at three levels and the best result counts; phasekit runs with its defaults."
)
ABOUT_ACCURACY = (
    "Shares of grain-interior pixels; not indexed or wrong phase counts as wrong. Folded: of an orientation and "
    "its half turn about the beam the nearer counts. AUC: area under the ROC of the orientation reliability "
    "(py4DSTEM: of the phase's). Zone twin: the share within 5 degrees if a half turn about a zone axis near the "
    "beam counts too; such a pair has the same zero-order Laue zone, and nothing in it can tell them. The peers "
    "were run on random pixels of the same scan; phasekit on those too (third line)."
)
ACCURACY_HEAD = (
    "electrons",
    "package",
    "pixels",
    "phase",
    "within 2 deg",
    "within 5 deg",
    "or zone twin",
    "unfolded 5 deg",
    "median [deg]",
    "AUC",
    "vacuum indexed",
)
SPEED_HEAD = (
    "package",
    "matching, patterns per CPU-second",
    "phasekit is faster by",
    "per second of wall clock",
    "peaks, patterns per CPU-second",
    "peak memory [MB]",
)


def write_report(runs: Path, target: Path) -> None:
    """Write ``report.md``, ``report.png`` and ``report.json`` into ``target``, from the results in ``runs``."""
    from .figures import draw_report

    results = collect_results(runs)
    save_report(results, compose_report(results), target)
    draw_report(results, target / "report.png")


def compose_report(results: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    return [
        "# Orientation mapping: phasekit beside pyxem and py4DSTEM",
        "",
        INTRODUCTION,
        "",
        *_machine_lines(results["machine"]),
        *_accuracy_lines(results["accuracy"]),
        *_speed_lines(results),
        *_peak_lines(results["accuracy"]),
        *_fault_lines(results["robustness"]),
        "![Shares within 5 degrees by dose, and seconds against templates and patterns](report.png)",
    ]


def _machine_lines(machine: dict[str, Any]) -> list[str]:
    return [
        f"Machine: {machine['machine']['processor']}, {machine['machine']['cores']} cores; float32 matrix product "
        f"{machine['gemm_gflops_per_core']:.0f} GFLOP/s per core.",
        "",
    ]


def _accuracy_lines(accuracy: dict[str, Any]) -> list[str]:
    rows = [
        [str(dose), name, *_accuracy_cells(by_dose[str(dose)])] for dose in DOSES for name, by_dose in accuracy.items()
    ]
    return ["## Accuracy", "", ABOUT_ACCURACY, "", *markdown_table(ACCURACY_HEAD, rows), ""]


def _accuracy_cells(one: dict[str, Any]) -> list[str]:
    numbers = (
        one["phase_accuracy"],
        one["folded"]["within_2"],
        one["folded"]["within_5"],
        one["within_5_or_zone_twin"],
        one["unfolded"]["within_5"],
        one["folded"]["median_deg"],
        one["auc"].get("reliability", one["auc"]["phase_reliability"]),
        one["vacuum_indexed"],
    )
    return [str(one["n_interior"]), *(f"{number:.3f}" for number in numbers)]


def _speed_lines(results: dict[str, Any]) -> list[str]:
    speed = results["speed"]
    templates = ", ".join(
        f"{speed[name]['templates']} ({title})"
        for name, title in (("phasekit", "phasekit"), ("pyxem", "pyxem"), ("py4dstem", "py4DSTEM"))
    )
    return [
        "## Speed",
        "",
        f"Ni and LiFePO4 at 2 degrees, one thread, 2000 electrons; templates {templates}.",
        "",
        *markdown_table(SPEED_HEAD, [_speed_row(name, info, speed["phasekit"]) for name, info in speed.items()]),
        "",
        *_matching_lines(speed["phasekit"], results["one_degree"], results["machine"]),
        *_search_lines(results["exact"], results["scaling"]),
        _chain_line(results["chain"]),
        "",
    ]


def _speed_row(name: str, info: dict[str, Any], own: dict[str, Any]) -> list[str]:
    matching = compute_rate(info, "match")
    return [
        name,
        f"{matching:.1f}",
        f"{compute_rate(own, 'match') / matching:.0f}",
        f"{compute_rate(info, 'match', 'wall_s'):.1f}",
        f"{compute_rate(info, 'peaks'):.0f}" if name != "pyxem" else "(polar transform)",
        f"{info['peak_memory_mb']:.0f}",
    ]


def compute_rate(info: dict[str, Any], step: str, clock: str = "cpu_s") -> float:
    """Return the patterns per second of a step, of CPU time or of ``wall_s``."""
    count = info.get("n_patterns_peaks", info["n_patterns"]) if step == "peaks" else info["n_patterns"]
    return float(count / info["times"][step][clock])


def _matching_lines(own: dict[str, Any], one_degree: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    """Compare matching with the speed that the machine's matrix product allows."""
    matching, operations = compute_rate(own, "match"), machine["full_grid_flops"]["2"]
    limit = machine["gemm_gflops_per_core"] * 1e9 / operations
    slower = matching / compute_rate(one_degree, "match")
    return [
        f"- Refinement: {compute_rate(own, 'refine'):.0f} patterns per CPU-second (phasekit only).",
        f"- The full grid as one real matrix product per azimuthal frequency takes {operations / 1e6:.0f} MFLOP per "
        f"pattern, {limit:.0f} patterns per second and core at this machine's product speed: matching runs at "
        f"{100 * matching / limit:.0f} % of that limit (selection, transforms and candidates included).",
        f"- At 1 degree matching is {slower:.1f} times slower than at 2 degrees.",
    ]


def _search_lines(exact: dict[str, float], scaling: dict[str, Any]) -> list[str]:
    return [
        f"- The fast search finds the best entry of the full grid in {100 * exact['found']:.2f} % of "
        f"{exact['patterns']} patterns (three phases); largest loss of Q {exact['largest_loss']:.1e}.",
        f"- Seconds grow as templates^{scaling['templates']['slope']:.2f} and "
        f"patterns^{scaling['patterns']['slope']:.2f}.",
    ]


def _chain_line(chain: dict[str, Any]) -> str:
    return (
        f"- From file to refined map, {chain['n_patterns']} patterns ({chain['file_gb']:.1f} GB on disk, three "
        f"phases, two threads): {chain['patterns_per_s']:.0f} patterns per second, peak memory "
        f"{chain['peak_memory_mb']:.0f} MB."
    )


def _peak_lines(accuracy: dict[str, Any]) -> list[str]:
    columns = ("recall", "precision", "rms_per_axis_px")
    rows = []
    for dose in DOSES:
        for name in ("phasekit", "py4DSTEM"):
            one = accuracy[name][str(dose)]["peaks"]
            rows.append([str(dose), name, *(f"{one[column]:.3f}" for column in columns)])
    return [
        "## Peaks",
        "",
        "Spots of 5 expected electrons and more, within 2 px; the error is per axis.",
        "",
        *markdown_table(("electrons", "package", "recall", "precision", "rms error [px]"), rows),
        "",
    ]


def _fault_lines(cases: dict[str, Any]) -> list[str]:
    base = cases["no fault"]["as is"]["wrong"]
    return [
        "## Faults of the measurement",
        "",
        f"Points of per cent of pixels wrong (beyond 5 degrees, folded) more than without a fault "
        f"({100 * base:.1f} %), 2000 electrons. Calibrated: scale and ellipse from the rings of "
        "the specimen's own phases.",
        "",
        *markdown_table(
            ("fault", "as it is", "calibrated", "scale", "ellipse"),
            [_fault_row(name, case, base) for name, case in cases.items()],
        ),
        "",
    ]


def _fault_row(name: str, case: dict[str, Any], base: float) -> list[str]:
    fit = case["calibrated"]
    return [
        name,
        *(f"{100 * (case[kind]['wrong'] - base):+.1f}" for kind in ("as is", "calibrated")),
        f"{fit['scale']:.4f}",
        f"{fit['ellipse_ratio']:.4f} at {fit['ellipse_angle']:.0f} deg",
    ]
