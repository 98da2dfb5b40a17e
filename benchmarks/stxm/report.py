"""Numbers of the benchmark -> a page of Markdown and figures."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import format_code_states, format_machine, markdown_table, save_report
from .cells import N_ENERGIES, NOISE, NUISANCES
from .collect import collect_results
from .common import OWN
from .report_mixtures import compose_mixture_lines

Rows = list[dict[str, Any]]
INTRODUCTION = (
    "`make bench-stxm` makes this page. Simulated Na_xV2(PO4)2F3 particles of grains with gradual rims, 96 x 128 "
    "pixels; 3, 4 and 5 phases at 4, 6 and more energies, planned by `select_energies` (60: even). Noise is the "
    "median standard deviation of the optical density over the material. Nuisances: offset 0.3 eV; saturation "
    "(stray light 8 %); slope (0.01 OD per eV); misalignment (0.5 px rms per frame, left as it is); a phase "
    "without reference; undersampling (every third pixel). Accuracy is the share of right names (nearest in "
    "composition) among all material pixels, rims included. Every baseline is told the energy offset that phasekit "
    "finds and "
    'given the best of three smoothings (none, 0.7, 1.2 px) by the truth, which favours it. "Level": within the '
    "spread of specimens and trainings, 0.005 at least. "
)
ABOUT_CLUSTERS = (
    "With references that are right the pixels' own spectra and their neighbours say all there is; the "
    "clusters are what finds unknown and transition phases, and what the references are compared with."
)
SCORE_HEAD = ("ok error", "ok share", "ECE", "AUC", "AUC pure")
SCORES = ("ok_error", "ok_share", "ece", "auc", "pure_auc")
TIME_HEAD = (
    "pixels",
    "energies",
    "trainings",
    "alignment and OD / s",
    "clusters / s",
    "map / s",
    "total / s",
    "peak / GB",
)
STEPS = ("alignment and optical density", "clusters", "map", "total")
REAL_HEAD = ("energies", "planned, rich", "even, rich", "planned, all material", "even, all material")
REAL_COLUMNS = ("planned_rich", "even_rich", "planned_material", "even_material")


def write_report(runs: Path, target: Path) -> None:
    """Write ``report.md``, ``report.json`` and the figures into ``target``, from the results in ``runs``."""
    from .figures import draw_report

    results = collect_results(runs)
    save_report(results, compose_report(results), target)
    draw_report(results, target)


def compose_report(results: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    cells = results["cells"]
    specimens = max((cell["specimens"] for cell in cells), default=0)
    return [
        "# Phase maps from few energies and few photons: measured",
        "",
        f"{INTRODUCTION}Cells: {len(cells)}, of {specimens} specimen(s) each.",
        "",
        *format_machine(results["scaling"].get("machine", {})),
        *_code_lines(results["codes"]),
        *_promise_lines(results["promises"]),
        *("", "## Against the best baseline", ""),
        *_comparison_lines(cells),
        "",
        *(line for nuisance in NUISANCES for line in _nuisance_table(cells, nuisance)),
        *_cluster_lines(cells),
        *_confidence_lines(cells),
        *("## Mantis", "", *_mantis_lines(results["mantis"])),
        *compose_mixture_lines(results),
        *("## Real Fe 2p stack", "", *_real_stack_lines(results["real_stack"])),
        *("## Time and memory", "", *_time_lines(results["scaling"]), *_streaming_lines(results["streaming"])),
        "",
        "![Accuracy by number of energies and nuisance](accuracy.png)",
        "",
        "![Stated confidence against the rate of right names](calibration.png)",
    ]


def _code_lines(states: dict[str, int]) -> list[str]:
    """Warn where results of several states of the code stand together."""
    if len(states) <= 1:
        return []
    counted = format_code_states(states)
    return [f"**Results of different states of the code stand here together: {counted}; `--fresh` ends that.**", ""]


def _promise_lines(promises: dict[str, Any]) -> list[str]:
    plain, unknown = promises["offset"], promises["unknown_phase"]
    if not plain:
        return []
    return [
        "## What was promised",
        "",
        f"10 planned energies, noise 0.05, offset 0.3 eV, stray light 3 %; mean and range of {len(plain['ok_error'])} "
        "specimens that nothing was chosen on.",
        "",
        "| | asked | measured |",
        "|---|---|---|",
        f"| error of pixels with status ok | at most 0.03 | {_format_range(plain['ok_error'])} |",
        f"| share of material pixels that are ok | at least 0.75 | {_format_range(plain['ok_share'])} |",
        f"| energy offset off by / eV | at most 0.05 | {_format_range(plain['offset_error'])} |",
        f"| expected calibration error | at most 0.03 | {_format_range(plain['ece'])} |",
        f"| area under the ROC of confidence, all pixels | at least 0.95 | {_format_range(plain['auc'])} |",
        f"| the same, pixels of a pure phase | | {_format_range(plain['pure_auc'])} |",
        f"| pixels of an unknown phase flagged | at least 0.90 | {_format_range(unknown['unknown_flagged'])} |",
        f"| known pixels flagged with them | | {_format_range(unknown['known_flagged'])} |",
    ]


def _format_range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _comparison_lines(cells: Rows) -> list[str]:
    """Count the cells in which phasekit is ahead, level or behind, by nuisance, number of energies and noise."""
    groups = [(nuisance, "nuisance", nuisance) for nuisance in NUISANCES]
    groups += [(f"{n} energies", "n", n) for n in N_ENERGIES]
    groups += [(f"noise {noise}", "noise", noise) for noise in NOISE]
    rows = [(title, [cell for cell in cells if cell[name] == value]) for title, name, value in groups]
    rows.append(("all", cells))
    head = ("cells", "ahead", "level", "behind", "mean gap")
    return [
        *markdown_table(head, [_comparison_row(title, mine) for title, mine in rows if mine]),
        *_training_lines(cells),
        *_lost_cell_lines([cell for cell in cells if cell["verdict"] == "behind"]),
    ]


def _comparison_row(title: str, cells: Rows) -> list[str]:
    counts = [sum(cell["verdict"] == word for cell in cells) for word in ("ahead", "level", "behind")]
    gap = np.mean([cell["gap"] for cell in cells])
    return [title, *(str(count) for count in counts), f"{gap:+.3f}"]


def _training_lines(cells: Rows) -> list[str]:
    repeated = [cell["trainings"] for cell in cells if cell["trainings"] > 0]
    if not repeated:
        return []
    return [
        "",
        f"Accuracies of three trainings on one specimen lie within {np.median(repeated):.4f} of each other "
        f"(median of {len(repeated)} cells; most {max(repeated):.4f}).",
    ]


def _lost_cell_lines(cells: Rows) -> list[str]:
    return ["", f"Cells that are lost: {len(cells)}.", *(_describe_lost_cell(cell) for cell in cells)]


def _describe_lost_cell(cell: dict[str, Any]) -> str:
    name = f"{cell['nuisance']}, {cell['n']} energies, noise {cell['noise']}"
    best = f"{cell['rivals'][cell['best_rival']]:.3f} ({cell['best_rival']})"
    return f"- {name}: {cell['own']['accuracy']:.3f} against {best}"


def _nuisance_table(cells: Rows, nuisance: str) -> list[str]:
    """Every cell of one nuisance, with every baseline."""
    mine = [cell for cell in cells if cell["nuisance"] == nuisance]
    if not mine:
        return []
    names = max((list(cell["rivals"]) for cell in mine), key=len)
    head = ["energies", "noise", "phasekit", *names, *SCORE_HEAD]
    table = markdown_table(head, [_cell_row(cell, names) for cell in mine])
    flagged = _flagged_lines(mine) if nuisance == "unknown phase" else []
    return [f"### {nuisance}", "", *table, *flagged, ""]


def _cell_row(cell: dict[str, Any], names: list[str]) -> list[str]:
    own = cell["own"]
    return [
        str(cell["n"]),
        str(cell["noise"]),
        f"**{own['accuracy']:.3f}** {cell['verdict']}",
        *(f"{cell['rivals'].get(name, np.nan):.3f}" for name in names),
        *(f"{own[name]:.3f}" for name in SCORES),
    ]


def _flagged_lines(cells: Rows) -> list[str]:
    lines = ["", "Unknown pixels flagged `no_reference` (known ones flagged with them):", ""]
    for cell in cells:
        own = cell["own"]
        rates = f"{own['unknown_flagged']:.3f} ({own['known_flagged']:.3f})"
        lines.append(f"- {cell['n']} energies, noise {cell['noise']}: {rates}")
    return lines


def _cluster_lines(cells: Rows) -> list[str]:
    """State what the clusters of the GMVAE add to the map that is drawn without them."""
    gains = defaultdict(list)
    for cell in cells:
        gains[cell["nuisance"]].append(cell["own"]["accuracy"] - cell["alone"])
    stated = ", ".join(f"{name} {np.mean(values):+.3f}" for name, values in gains.items())
    return [
        "## What the clusters add",
        "",
        f"Accuracy with the GMVAE's clusters less that of the same map without them: {stated}. {ABOUT_CLUSTERS}",
        "",
    ]


def _confidence_lines(cells: Rows) -> list[str]:
    known = [cell["own"] for cell in cells if cell["nuisance"] != "unknown phase"]
    if not known:
        return []
    ece, auc = ([own[name] for own in known] for name in ("ece", "auc"))
    return [
        "## Confidence",
        "",
        f"Expected calibration error by cell: median {np.median(ece):.3f}, at most 0.03 in "
        f"{np.mean(np.array(ece) <= 0.03):.0%} of the cells, worst {max(ece):.3f}. Area under the ROC: median "
        f"{np.median(auc):.3f}, at least 0.95 in {np.mean(np.array(auc) >= 0.95):.0%}. Pixels on gradual rims, whose "
        "nearest name noise decides, are wrong with a confidence that is rightly middling: they hold the area down.",
        "",
    ]


def _mantis_lines(rows: Rows) -> list[str]:
    if not rows:
        return ["Not measured: its environment could not be made here.", ""]
    names = [name for name in rows[0] if name.startswith("Mantis")]
    scores = [
        [one["nuisance"], str(one["n"]), str(one["noise"]), *(f"{one[name]:.3f}" for name in (OWN, *names))]
        for one in rows
    ]
    return [
        f"Its own code (mantis-xray {rows[0]['version']}) on the same optical density, at the best of the three "
        "smoothings.",
        "",
        *markdown_table(["nuisance", "energies", "noise", "phasekit", *names], scores),
        "",
    ]


def _real_stack_lines(real: dict[str, Any]) -> list[str]:
    if not real:
        return ["Not measured: set PHASEKIT_REAL_DATA.", ""]
    rows = [[str(row["n"]), *(f"{row[name]:.3f}" for name in REAL_COLUMNS)] for row in real["withheld"]]
    return [
        "Correlation of the oxidised fraction with that of all 123 energies; rich: more than half the iron of the "
        f"thickest pixels ({real['pixels_rich']} of {real['pixels_material']} material pixels).",
        "",
        *markdown_table(REAL_HEAD, rows),
        "",
        f"Flagged `no_reference`: {real['no_reference']:.1%} of the material, {real['no_reference_rich']:.1%} of the "
        f"rich pixels; their median chi-square per degree of freedom in the linear fit is "
        f"{real['median_chi_square_flagged']:.1f}, that of the others {real['median_chi_square_others']:.1f}.",
        "",
    ]


def _time_lines(scaling: dict[str, Any]) -> list[str]:
    if not scaling:
        return []
    cases = [*scaling["pixels"], *scaling["energies"], *scaling["promised"]]
    asked = "Asked: 256 x 256 x 20 with 5 trainings in at most 60 s on two cores (last row)."
    return [*markdown_table(TIME_HEAD, [_time_row(case) for case in cases]), "", asked]


def _time_row(case: dict[str, Any]) -> list[str]:
    size = [f"{case['side']} x {case['side']}", str(case["energies"]), str(case["runs"])]
    return [*size, *(f"{case[name]:.1f}" for name in STEPS), f"{case['peak_gb']:.2f}"]


def _streaming_lines(streaming: dict[str, Any]) -> list[str]:
    if not streaming:
        return []
    side, energies, peak = (streaming[name] for name in ("side", "energies", "peak_gb"))
    steps = ", ".join(f"{name} {value:.0f} s" for name, value in streaming["seconds"].items())
    return ["", f"{side} x {side} x {energies} from a file of counts to a file of phases: {peak:.2f} GB; {steps}."]
