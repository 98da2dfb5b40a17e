"""Results of the runs -> Markdown and one figure."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from common import load_result
from evaluate import evaluate

DOSES = (200, 600, 2000, 20000)
COLOURS = {"phasekit": "#0072B2", "pyxem": "#D55E00", "py4DSTEM": "#009E73"}


def write_report(runs: Path, target: Path) -> None:
    """``report.md``, ``report.png`` and ``report.json`` in ``target``, from the results in ``runs``."""
    target.mkdir(parents=True, exist_ok=True)
    found = collect(runs)
    (target / "report.json").write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")
    (target / "report.md").write_text("\n".join(text(found)) + "\n", encoding="utf-8")
    draw(found, target / "report.png")


def collect(runs: Path) -> dict[str, Any]:
    """All figures: ``accuracy[package][dose]``, ``speed`` and so on, as they go into ``report.json``."""
    accuracy: dict[str, dict[str, Any]] = {
        name: {} for name in ("phasekit", "phasekit, other scan", "phasekit, peers' pixels", "pyxem", "py4DSTEM")
    }
    for dose in DOSES:
        scan = runs / "scans" / f"scan_{dose}.h5"
        accuracy["phasekit"][str(dose)] = evaluate(runs / f"phasekit_{dose}.npz", scan)
        other = runs / "scans" / "fresh" / f"scan_{dose}.h5"
        accuracy["phasekit, other scan"][str(dose)] = evaluate(runs / f"fresh_{dose}.npz", other)
        accuracy["pyxem"][str(dose)] = pyxem = evaluate(runs / f"pyxem_{dose}.npz", scan)
        count = int(pyxem["settings"]["positions"])
        accuracy["phasekit, peers' pixels"][str(dose)] = evaluate(runs / f"phasekit_{dose}.npz", scan, positions=count)
        tried = [evaluate(path, scan) for path in sorted(runs.glob(f"py4dstem_{dose}_*.npz"))]
        accuracy["py4DSTEM"][str(dose)] = max(tried, key=lambda one: one["folded"]["within_5"])
    return {
        "machine": json.loads((runs / "machine.json").read_text(encoding="utf-8")),
        "accuracy": accuracy,
        "speed": {name: load_result(runs / f"{name}_two.npz")[1] for name in ("phasekit", "pyxem", "py4dstem")},
        "one_degree": load_result(runs / "phasekit_one_degree.npz")[1],
        "scaling": _scaling(runs),
        "exact": _exact(runs),
        "chain": json.loads((runs / "chain.json").read_text(encoding="utf-8")),
        "robustness": json.loads((runs / "robustness.json").read_text(encoding="utf-8")),
    }


def _scaling(runs: Path) -> dict[str, Any]:
    """Work against seconds of matching (one thread), and slopes in log-log."""
    out: dict[str, Any] = {}
    for name, size in (
        ("templates", lambda info: sum(info["templates"])),
        ("patterns", lambda info: info["n_patterns"]),
    ):
        infos = [load_result(path)[1] for path in runs.glob(f"{name}_*.npz")]
        pairs = sorted((size(info), info["times"]["match"]["cpu_s"]) for info in infos)
        x, y = np.log(np.array(pairs)).T
        out[name] = {"pairs": pairs, "slope": float(np.polyfit(x, y, 1)[0])}
    return out


def _exact(runs: Path) -> dict[str, float]:
    """How often the fast search finds the best of the full grid, before refinement."""
    fast, full = (load_result(runs / f"phasekit_{name}.npz")[0] for name in ("2000", "full"))
    known = full["matched_phase"] >= 0
    lost = full["matched_score"][known] - fast["matched_score"][known]
    return {"patterns": int(known.sum()), "found": float((lost < 1e-6).mean()), "largest_loss": float(lost.max())}


def rate(info: dict[str, Any], step: str, clock: str = "cpu_s") -> float:
    """Patterns per second of a step."""
    count = info.get("n_patterns_peaks", info["n_patterns"]) if step == "peaks" else info["n_patterns"]
    return float(count / info["times"][step][clock])


def text(found: dict[str, Any]) -> list[str]:
    """Lines of the report."""
    machine = found["machine"]
    return [
        "# Orientation mapping: phasekit beside pyxem and py4DSTEM",
        "",
        "Made by `make bench-acom`; figures of another machine will differ, ratios little. One simulated scan for all "
        "(64 x 64 patterns of 128 x 128 pixels, 108 grains of Ni, LiFePO4 and trigonal LiCoO2, 1 degree precession, "
        "200 kV), Poisson counts of four doses. Which maxima phasekit keeps as weak peaks was chosen on this scan, so "
        "a scan of other grains, used for nothing else, stands beside it. Every package has its own environment with "
        "pinned versions, one thread, 2-degree banks. pyxem works on the images; py4DSTEM and phasekit on peaks. "
        "py4DSTEM's threshold is tried at three levels and the best result counts; phasekit runs with its defaults.",
        "",
        f"Machine: {machine['machine']['processor']}, {machine['machine']['cores']} cores; float32 matrix product "
        f"{machine['gemm_gflops_per_core']:.0f} GFLOP/s per core.",
        "",
        *_accuracy_lines(found),
        *_speed_lines(found),
        *_peak_lines(found),
        *_robust_lines(found),
        "![Shares within 5 degrees by dose, and seconds against templates and patterns](report.png)",
    ]


def _accuracy_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Accuracy",
        "",
        "Shares of grain-interior pixels; not indexed or wrong phase counts as wrong. Folded: of an orientation and "
        "its half turn about the beam the nearer counts. AUC: area under the ROC of the orientation reliability "
        "(py4DSTEM: of the phase's). Zone twin: the share within 5 degrees if a half turn about a zone axis near the "
        "beam counts too; such a pair has the same zero-order Laue zone, and nothing in it can tell them. The peers "
        "were run on random pixels of the same scan; phasekit on those too (third line).",
        "",
        "| electrons | package | pixels | phase | within 2 deg | within 5 deg | or zone twin | unfolded 5 deg | "
        "median [deg] | AUC | vacuum indexed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for dose in DOSES:
        for name, results in found["accuracy"].items():
            one = results[str(dose)]
            roc = one["auc"].get("reliability", one["auc"]["phase_reliability"])
            numbers = [one["phase_accuracy"], one["folded"]["within_2"], one["folded"]["within_5"]]
            numbers += [
                one["within_5_or_zone_twin"],
                one["unfolded"]["within_5"],
                one["folded"]["median_deg"],
                roc,
                one["vacuum_indexed"],
            ]
            lines.append(f"| {dose} | {name} | {one['n_interior']} | " + " | ".join(f"{n:.3f}" for n in numbers) + " |")
    return [*lines, ""]


def _speed_lines(found: dict[str, Any]) -> list[str]:
    own, chain, scaling, exact = found["speed"]["phasekit"], found["chain"], found["scaling"], found["exact"]
    flops = found["machine"]["full_grid_flops"]["2"]
    limit = found["machine"]["gemm_gflops_per_core"] * 1e9 / flops
    lines = [
        "## Speed",
        "",
        f"Ni and LiFePO4 at 2 degrees, one thread, 2000 electrons; templates {own['templates']} (phasekit), "
        f"{found['speed']['pyxem']['templates']} (pyxem), {found['speed']['py4dstem']['templates']} (py4DSTEM).",
        "",
        "| package | matching, patterns per CPU-second | phasekit is faster by | per second of wall clock | "
        "peaks, patterns per CPU-second | peak memory [MB] |",
        "|---|---|---|---|---|---|",
    ]
    for name, info in found["speed"].items():
        ratio = rate(own, "match") / rate(info, "match")
        peaks = f"{rate(info, 'peaks'):.0f}" if name != "pyxem" else "(polar transform)"
        lines.append(
            f"| {name} | {rate(info, 'match'):.1f} | {ratio:.0f} | {rate(info, 'match', 'wall_s'):.1f} | {peaks} | "
            f"{info['peak_memory_mb']:.0f} |"
        )
    slower = rate(own, "match") / rate(found["one_degree"], "match")
    return [
        *lines,
        "",
        f"- Refinement: {rate(own, 'refine'):.0f} patterns per CPU-second (phasekit only).",
        f"- The full grid as one real matrix product per azimuthal frequency takes {flops / 1e6:.0f} MFLOP per "
        f"pattern, {limit:.0f} patterns per second and core at this machine's product speed: matching runs at "
        f"{100 * rate(own, 'match') / limit:.0f} % of that limit (selection, transforms and candidates included).",
        f"- At 1 degree matching is {slower:.1f} times slower than at 2 degrees.",
        f"- The fast search finds the best entry of the full grid in {100 * exact['found']:.2f} % of "
        f"{exact['patterns']} patterns (three phases); largest loss of Q {exact['largest_loss']:.1e}.",
        f"- Seconds grow as templates^{scaling['templates']['slope']:.2f} and "
        f"patterns^{scaling['patterns']['slope']:.2f}.",
        f"- From file to refined map, {chain['n_patterns']} patterns ({chain['file_gb']:.1f} GB on disk, three "
        f"phases, two threads): {chain['patterns_per_s']:.0f} patterns per second, peak memory "
        f"{chain['peak_memory_mb']:.0f} MB.",
        "",
    ]


def _peak_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Peaks",
        "",
        "Spots of 5 expected electrons and more, within 2 px; the error is per axis.",
        "",
        "| electrons | package | recall | precision | rms error [px] |",
        "|---|---|---|---|---|",
    ]
    for dose in DOSES:
        for name in ("phasekit", "py4DSTEM"):
            one = found["accuracy"][name][str(dose)]["peaks"]
            lines.append(
                f"| {dose} | {name} | {one['recall']:.3f} | {one['precision']:.3f} | {one['rms_per_axis_px']:.3f} |"
            )
    return [*lines, ""]


def _robust_lines(found: dict[str, Any]) -> list[str]:
    base = found["robustness"]["no fault"]["as is"]["wrong"]
    lines = [
        "## Faults of the measurement",
        "",
        f"Points of per cent of pixels wrong (beyond 5 degrees, folded) more than without a fault "
        f"({100 * base:.1f} %), 2000 electrons. Calibrated: scale and ellipse from the rings of "
        "the specimen's own phases.",
        "",
        "| fault | as it is | calibrated | scale | ellipse |",
        "|---|---|---|---|---|",
    ]
    for name, case in found["robustness"].items():
        more = [100 * (case[kind]["wrong"] - base) for kind in ("as is", "calibrated")]
        fit = case["calibrated"]
        lines.append(
            f"| {name} | {more[0]:+.1f} | {more[1]:+.1f} | {fit['scale']:.4f} | {fit['ellipse_ratio']:.4f} at "
            f"{fit['ellipse_angle']:.0f} deg |"
        )
    return [*lines, ""]


def draw(found: dict[str, Any], path: Path) -> None:
    """Accuracy by dose, and cost against templates and patterns."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for name, results in found["accuracy"].items():
        if name in COLOURS:
            shares = [results[str(dose)]["folded"]["within_5"] for dose in DOSES]
            axes[0].semilogx(DOSES, shares, "o-", color=COLOURS[name], label=name)
    axes[0].set(xlabel="electrons per pattern", ylabel="within 5 degrees (folded)", ylim=(0, 1.02))
    axes[0].legend(loc="lower right")
    for axis, (name, one) in zip(axes[1:], found["scaling"].items(), strict=True):
        size, seconds = np.array(one["pairs"]).T
        axis.loglog(size, seconds, "o-", color=COLOURS["phasekit"])
        axis.set(xlabel=name, ylabel="matching [CPU s]", title=f"slope {one['slope']:.2f}")
        for line in (axis.xaxis, axis.yaxis):
            line.set_minor_formatter(mpl.ticker.NullFormatter())
            line.set_major_locator(mpl.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            line.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    figure.savefig(path, dpi=110)
    plt.close(figure)
