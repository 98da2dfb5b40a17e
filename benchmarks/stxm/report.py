"""Results of the cells -> Markdown and figures."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from cells import N_ENERGIES, NOISE, NUISANCES
from run_cell import ALONE, OWN

Rows = list[dict[str, Any]]
_LEAST_SPREAD = 0.005  # of an accuracy between specimens, where two of them happen to agree


def write_report(runs: Path, target: Path) -> None:
    """``report.md``, ``report.json`` and the figures in ``target``, from the results in ``runs``."""
    target.mkdir(parents=True, exist_ok=True)
    found = collect(runs)
    (target / "report.json").write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")
    (target / "report.md").write_text("\n".join(text(found)) + "\n", encoding="utf-8")
    draw(found, target)


def collect(runs: Path) -> dict[str, Any]:
    """Everything the report says: cells averaged over specimens, promises, calibration, scaling, the real stack."""
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(runs.glob("cell_*.json"))]
    groups: dict[tuple[int, float, str], Rows] = defaultdict(list)
    for one in cells:
        groups[(one["cell"]["n"], one["cell"]["noise"], one["cell"]["nuisance"])].append(one)
    extra = {name: _read(runs / f"{name}.json") for name in ("scaling", "real_stack", "streaming")}
    return {
        "cells": [_summary(key, rows) for key, rows in sorted(groups.items(), key=lambda item: _order(item[0]))],
        "promises": _promises(runs),
        "reliability": _pooled([one["reliability"] for one in cells if one["cell"]["nuisance"] != "unknown phase"]),
        "mantis": [
            _mantis(json.loads(path.read_text(encoding="utf-8")), runs) for path in sorted(runs.glob("mantis_*.json"))
        ],
        "codes": _codes(runs),
        **extra,
    }


def _order(key: tuple[int, float, str]) -> tuple[int, int, int]:
    return NUISANCES.index(key[2]), N_ENERGIES.index(key[0]), NOISE.index(key[1])


def _codes(runs: Path) -> dict[str, int]:
    """How many results were made by which state of the code (``provenance.code_state``)."""
    made = [
        json.loads(path.read_text(encoding="utf-8"))
        for kind in ("cell", "promise", "mantis")
        for path in runs.glob(f"{kind}_*.json")
    ]
    return dict(Counter(one.get("code", "unrecorded") for one in made))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _summary(key: tuple[int, float, str], rows: Rows) -> dict[str, Any]:
    """One cell over its specimens: own scores, the best baseline (each at its best smoothing), and who is ahead."""
    n, noise, nuisance = key
    own = np.array([row[OWN]["accuracy"] for row in rows])
    shared = [name for name in rows[0]["baselines"] if all(name in row["baselines"] for row in rows)]
    rivals = {name: np.array([_best(row["baselines"][name]) for row in rows]) for name in shared}
    best = max(rivals, key=lambda name: rivals[name].mean())
    gap = own - rivals[best]
    trainings = np.concatenate([np.array(row["trainings"]) - np.mean(row["trainings"]) for row in rows])
    spread = float(np.sqrt(gap.var(ddof=1) / len(gap) + trainings.var()) if len(gap) > 1 else trainings.std())
    spread = max(spread, _LEAST_SPREAD)
    verdict = "ahead" if gap.mean() > spread else "behind" if gap.mean() < -spread else "level"
    names = [name for name in rows[0][OWN] if name != "seconds"]
    scores = {name: float(np.nanmean([row[OWN].get(name, np.nan) for row in rows])) for name in names}
    return {
        "n": n,
        "noise": noise,
        "nuisance": nuisance,
        "specimens": len(rows),
        "own": scores,
        "alone": float(np.mean([row[ALONE]["accuracy"] for row in rows])),
        "rivals": {name: float(values.mean()) for name, values in rivals.items()},
        "best_rival": best,
        "gap": float(gap.mean()),
        "spread": spread,
        "trainings": float(max(np.ptp(row["trainings"]) for row in rows)),
        "verdict": verdict,
    }


def _best(by_smoothing: dict[str, float]) -> float:
    return max(value for name, value in by_smoothing.items() if name != "seconds")


def _promises(runs: Path) -> dict[str, Any]:
    """10 planned energies, noise 0.05, offset 0.3 eV, stray light 3 %: scores by specimen."""
    out: dict[str, Any] = {}
    for name in ("offset", "unknown_phase"):
        rows = [
            json.loads(path.read_text(encoding="utf-8"))[OWN] for path in sorted(runs.glob(f"promise_{name}_*.json"))
        ]
        out[name] = {key: [row[key] for row in rows] for key in (rows[0] if rows else {})}
    return out


def _pooled(parts: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    return {name: np.sum([part[name] for part in parts], axis=0).tolist() for name in (parts[0] if parts else {})}


def _mantis(one: dict[str, Any], runs: Path) -> dict[str, Any]:
    """Its scores, and phasekit's on the same specimen."""
    cell = one["cell"]
    name = f"cell_{cell['n']}_{cell['noise']}_{cell['nuisance'].replace(' ', '_')}_{cell['seed']}.json"
    mine = _read(runs / name)
    scores = {name: _best(values) for name, values in one["mantis"].items()}
    return {**cell, OWN: mine[OWN]["accuracy"] if mine else np.nan, "version": one.get("mantis_version", ""), **scores}


def text(found: dict[str, Any]) -> list[str]:
    """The report as lines of Markdown."""
    cells = found["cells"]
    return [
        "# Phase maps from few energies and few photons: measured",
        "",
        "`make bench-stxm` makes this page. Simulated Na_xV2(PO4)2F3 particles of grains with gradual rims, 96 x 128 "
        "pixels; 3, 4 and 5 phases at 4, 6 and more energies, planned by `select_energies` (60: even). Noise is the "
        "median standard deviation of the optical density over the material. Nuisances: offset 0.3 eV; saturation "
        "(stray light 8 %); slope (0.01 OD per eV); misalignment (0.5 px rms per frame, left as it is); a phase "
        "without reference; undersampling (every third pixel). Accuracy is the share of right names (nearest in "
        "composition) among all material pixels, rims included. Every baseline is told the energy offset that phasekit "
        "finds and "
        'given the best of three smoothings (none, 0.7, 1.2 px) by the truth, which favours it. "Level": within the '
        "spread of specimens and trainings, 0.005 at least. "
        f"Cells: {len(cells)}, of {max((cell['specimens'] for cell in cells), default=0)} specimen(s) each.",
        "",
        *_origin_lines(found),
        *_promise_lines(found["promises"]),
        "",
        "## Against the best baseline",
        "",
        *_verdict_lines(cells),
        "",
        *(line for nuisance in NUISANCES for line in _table(cells, nuisance)),
        *_clusters_lines(cells),
        *_calibration_lines(found),
        *_mantis_lines(found),
        *_real_lines(found["real_stack"]),
        *_scaling_lines(found["scaling"], found["streaming"]),
        "",
        "![Accuracy by number of energies and nuisance](accuracy.png)",
        "",
        "![Stated confidence against the rate of right names](calibration.png)",
    ]


def _origin_lines(found: dict[str, Any]) -> list[str]:
    """Machine and code, and a warning where results of several states of the code stand together."""
    machine, lines = found["scaling"].get("machine") if found["scaling"] else None, []
    if machine:
        versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
        lines += [
            f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
            f"Python {machine['python']}, {versions}.",
            "",
        ]
    if len(found["codes"]) > 1:
        states = ", ".join(f"{name} ({count})" for name, count in found["codes"].items())
        lines += [
            f"**Results of different states of the code stand here together: {states}; `--fresh` ends that.**",
            "",
        ]
    return lines


def _promise_lines(promises: dict[str, Any]) -> list[str]:
    plain, unknown = promises["offset"], promises["unknown_phase"]
    if not plain:
        return []

    def say(values: list[float], digits: int = 3) -> str:
        return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    return [
        "## What was promised",
        "",
        f"10 planned energies, noise 0.05, offset 0.3 eV, stray light 3 %; mean and range of {len(plain['ok_error'])} "
        "specimens that nothing was chosen on.",
        "",
        "| | asked | measured |",
        "|---|---|---|",
        f"| error of pixels with status ok | at most 0.03 | {say(plain['ok_error'])} |",
        f"| share of material pixels that are ok | at least 0.75 | {say(plain['ok_share'])} |",
        f"| energy offset off by / eV | at most 0.05 | {say(plain['offset_error'])} |",
        f"| expected calibration error | at most 0.03 | {say(plain['ece'])} |",
        f"| area under the ROC of confidence, all pixels | at least 0.95 | {say(plain['auc'])} |",
        f"| the same, pixels of a pure phase | | {say(plain['pure_auc'])} |",
        f"| pixels of an unknown phase flagged | at least 0.90 | {say(unknown['unknown_flagged'])} |",
        f"| known pixels flagged with them | | {say(unknown['known_flagged'])} |",
    ]


def _verdict_lines(cells: Rows) -> list[str]:
    lines = ["| cells | ahead | level | behind | mean gap |", "|---|---|---|---|---|"]
    kinds = [(nuisance, "nuisance", nuisance) for nuisance in NUISANCES]
    kinds += [(f"{n} energies", "n", n) for n in N_ENERGIES] + [(f"noise {noise}", "noise", noise) for noise in NOISE]
    for title, name, value in (*kinds, ("all", "", None)):
        mine = [cell for cell in cells if not name or cell[name] == value]
        if mine:
            count = [sum(cell["verdict"] == word for cell in mine) for word in ("ahead", "level", "behind")]
            gap = np.mean([cell["gap"] for cell in mine])
            lines.append(f"| {title} | {count[0]} | {count[1]} | {count[2]} | {gap:+.3f} |")
    repeated = [cell["trainings"] for cell in cells if cell["trainings"] > 0]
    if repeated:
        lines += [
            "",
            f"Accuracies of three trainings on one specimen lie within {np.median(repeated):.4f} of each other ",
        ]
        lines[-1] += f"(median of {len(repeated)} cells; most {max(repeated):.4f})."
    behind = [cell for cell in cells if cell["verdict"] == "behind"]
    lines += ["", f"Cells that are lost: {len(behind)}."]
    for cell in behind:
        lines.append(
            f"- {cell['nuisance']}, {cell['n']} energies, noise {cell['noise']}: {cell['own']['accuracy']:.3f} against "
            f"{cell['rivals'][cell['best_rival']]:.3f} ({cell['best_rival']})"
        )
    return lines


def _table(cells: Rows, nuisance: str) -> list[str]:
    mine = [cell for cell in cells if cell["nuisance"] == nuisance]
    if not mine:
        return []
    names = max((list(cell["rivals"]) for cell in mine), key=len)
    head = ["energies", "noise", "phasekit", *names, "ok error", "ok share", "ECE", "AUC", "AUC pure"]
    lines = [f"### {nuisance}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for cell in mine:
        own = cell["own"]
        row = [str(cell["n"]), str(cell["noise"]), f"**{own['accuracy']:.3f}** {cell['verdict']}"]
        row += [f"{cell['rivals'].get(name, np.nan):.3f}" for name in names]
        row += [f"{own[name]:.3f}" for name in ("ok_error", "ok_share", "ece", "auc", "pure_auc")]
        lines.append(f"| {' | '.join(row)} |")
    if nuisance == "unknown phase":
        lines += ["", "Unknown pixels flagged `no_reference` (known ones flagged with them):", ""]
        lines += [
            f"- {cell['n']} energies, noise {cell['noise']}: {cell['own']['unknown_flagged']:.3f} "
            f"({cell['own']['known_flagged']:.3f})"
            for cell in mine
        ]
    return [*lines, ""]


def _clusters_lines(cells: Rows) -> list[str]:
    """What the GMVAE itself adds to the map that is drawn without it."""
    rows = defaultdict(list)
    for cell in cells:
        rows[cell["nuisance"]].append(cell["own"]["accuracy"] - cell["alone"])
    gains = ", ".join(f"{name} {np.mean(values):+.3f}" for name, values in rows.items())
    return [
        "## What the clusters add",
        "",
        "Accuracy with the GMVAE's clusters less that of the same map without them: "
        f"{gains}. With references that are right the pixels' own spectra and their neighbours say all there is; the "
        "clusters are what finds unknown and transition phases, and what the references are compared with.",
        "",
    ]


def _calibration_lines(found: dict[str, Any]) -> list[str]:
    cells = [cell for cell in found["cells"] if cell["nuisance"] != "unknown phase"]
    ece, auc = ([cell["own"][name] for cell in cells] for name in ("ece", "auc"))
    if not cells:
        return []
    return [
        "## Confidence",
        "",
        f"Expected calibration error by cell: median {np.median(ece):.3f}, at most 0.03 in "
        f"{np.mean(np.array(ece) <= 0.03):.0%} of the cells, worst {max(ece):.3f}. Area under the ROC: median "
        f"{np.median(auc):.3f}, at least 0.95 in {np.mean(np.array(auc) >= 0.95):.0%}. Pixels on gradual rims, whose "
        "nearest name noise decides, are wrong with a confidence that is rightly middling: they hold the area down.",
        "",
    ]


def _mantis_lines(found: dict[str, Any]) -> list[str]:
    if not found["mantis"]:
        return ["## Mantis", "", "Not measured: its environment could not be made here.", ""]
    names = [name for name in found["mantis"][0] if name.startswith("Mantis")]
    head = ["nuisance", "energies", "noise", "phasekit", *names]
    version = found["mantis"][0]["version"]
    about = f"Its own code (mantis-xray {version}) on the same optical density, at the best of the three smoothings."
    lines = ["## Mantis", "", about, ""]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in found["mantis"]:
        row = [
            one["nuisance"],
            str(one["n"]),
            str(one["noise"]),
            f"{one[OWN]:.3f}",
            *(f"{one[name]:.3f}" for name in names),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return [*lines, ""]


def _real_lines(real: dict[str, Any]) -> list[str]:
    if not real:
        return ["## Real Fe 2p stack", "", "Not measured: set PHASEKIT_REAL_DATA.", ""]
    lines = [
        "## Real Fe 2p stack",
        "",
        "Correlation of the oxidised fraction with that of all 123 energies; rich: more than half the iron of the "
        f"thickest pixels ({real['pixels_rich']} of {real['pixels_material']} material pixels).",
        "",
        "| energies | planned, rich | even, rich | planned, all material | even, all material |",
        "|---|---|---|---|---|",
    ]
    for row in real["withheld"]:
        values = [row[name] for name in ("planned_rich", "even_rich", "planned_material", "even_material")]
        lines.append(f"| {row['n']} | {' | '.join(f'{value:.3f}' for value in values)} |")
    return [
        *lines,
        "",
        f"Flagged `no_reference`: {real['no_reference']:.1%} of the material, {real['no_reference_rich']:.1%} of the "
        f"rich pixels; their median chi-square per degree of freedom in the linear fit is "
        f"{real['median_chi_square_flagged']:.1f}, that of the others {real['median_chi_square_others']:.1f}.",
        "",
    ]


def _scaling_lines(scaling: dict[str, Any], streaming: dict[str, Any]) -> list[str]:
    lines = ["## Time and memory", ""]
    if scaling:
        head = ["pixels", "energies", "trainings", "alignment and OD / s", "clusters / s", "map / s", "total / s"]
        lines += [f"| {' | '.join([*head, 'peak / GB'])} |", f"|{'---|' * 8}"]
        for one in [*scaling["pixels"], *scaling["energies"], *scaling["promised"]]:
            seconds = [one[name] for name in ("alignment and optical density", "clusters", "map", "total")]
            size = [f"{one['side']} x {one['side']}", str(one["energies"]), str(one["runs"])]
            row = [*size, *(f"{value:.1f}" for value in seconds), f"{one['peak_gb']:.2f}"]
            lines.append(f"| {' | '.join(row)} |")
        lines += ["", "Asked: 256 x 256 x 20 with 5 trainings in at most 60 s on two cores (last row)."]
    if streaming:
        side, energies, peak = (streaming[name] for name in ("side", "energies", "peak_gb"))
        took = ", ".join(f"{name} {value:.0f} s" for name, value in streaming["seconds"].items())
        lines += ["", f"{side} x {side} x {energies} from a file of counts to a file of phases: {peak:.2f} GB; {took}."]
    return lines


def draw(found: dict[str, Any], target: Path) -> None:
    """``accuracy.png`` and ``calibration.png``."""
    from figures import draw_accuracy, draw_calibration

    if found["cells"]:
        draw_accuracy(found["cells"], target / "accuracy.png")
        draw_calibration(found["reliability"], target / "calibration.png")
