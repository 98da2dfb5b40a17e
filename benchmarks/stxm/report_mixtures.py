"""The sections of the page on mixtures: simulated, measured, and put together from the measured stack."""

from typing import Any

import numpy as np

from ..harness import markdown_table

Rows = list[dict[str, Any]]
ABOUT_MIXTURES = (
    "Specimens of `pk.synthetic.sample_mixture`: iron (two references) and vanadium (three). The probe is 0 to 3 px "
    "wide. Accuracy: the phase is the one with the largest true fraction. Lone: pixels unlike every neighbour. "
    "Error of the fraction: half the sum of absolute differences, for methods that name one phase only as well. "
    "Transitions: share of clear mixtures named so; false ones: share of pure and blurred pixels named so. "
    '"Faults" are those of measured stacks: interpolated frames, references wrong by 1 to 4 %, residual '
    "misalignment, unknown gain."
)
ABOUT_MEASURED = (
    "Iron-rich pixels of the measured Fe 2p stack against an independent non-negative least squares fit on all "
    "energies. It is told the energy offset that the map of all energies found. In brackets: the same fit on the "
    "map's own energies, which shows what their noise costs."
)
ABOUT_RESAMPLED = (
    "Spectra, misfit and noise of the measured stack on amounts that are known. In brackets: the independent fit, at "
    "the true energy offset. Means over stacks."
)
MIXTURE_HEAD = (
    *("kind", "faults", "energies", "noise", "phasekit", "best simple", "its name", "lone", "lone, best simple"),
    *("error of fraction", "of linear fit", "transitions", "false", "ok", "ECE"),
)
MEASURED_HEAD = (
    *("energies", "correlation", "agrees", "lone", "ok or transition", "ok", "transition", "boundary", "none"),
    *("ambiguous", "offset / eV", "blur / px"),
)
RESAMPLED_HEAD = (
    *("kind", "energies", "agrees", "lone", "correlation", "error of fraction", "offset off by / eV"),
    *("ok", "transition", "boundary", "none"),
)


def compose_mixture_lines(results: dict[str, Any]) -> list[str]:
    """Return the sections for which there are results."""
    return [
        *_simulated_lines(results.get("mixtures", [])),
        *_measured_lines(results.get("measured", {})),
        *_resampled_lines(results.get("resampled", {}).get("rows", [])),
    ]


def _simulated_lines(rows: Rows) -> list[str]:
    if not rows:
        return []
    verdicts = ("ahead", "level", "behind")
    lines = ["## Mixtures", "", ABOUT_MIXTURES, ""]
    for element in dict.fromkeys(row["element"] for row in rows):
        mine = [row for row in rows if row["element"] == element]
        counts = ", ".join(f"{sum(row['verdict'] == word for row in mine)} {word}" for word in verdicts)
        lines += [f"### {element}", "", *markdown_table(MIXTURE_HEAD, [_mixture_row(row) for row in mine])]
        lines += ["", f"Cells: {counts}.", ""]
    return lines


def _mixture_row(row: dict[str, Any]) -> list[str]:
    own, best = row["own"], row["rivals"][row["best_rival"]]
    values = (own["fraction_error"], row["fit_fraction_error"], own["transition_as_transition"])
    more = (own["false_transitions"], own["ok_share"], own["ece"])
    return [
        *(row["kind"], "yes" if row["measured"] else "no", str(row["n"]), str(row["noise"])),
        f"**{own['accuracy']:.3f}** {row['verdict']}",
        *(f"{best['accuracy']:.3f}", row["best_rival"], f"{own['lone']:.3f}", f"{best['lone']:.3f}"),
        *(_format(value) for value in (*values, *more)),
    ]


def _format(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def _measured_lines(measured: dict[str, Any]) -> list[str]:
    cases = {name: one for name, one in measured.items() if isinstance(one, dict)}
    if not cases:
        return []
    rows = [_measured_row(name, case) for name, case in cases.items()]
    return [
        "## Measured stack against an independent fit",
        "",
        ABOUT_MEASURED,
        "",
        *markdown_table(MEASURED_HEAD, rows),
        "",
    ]


def _measured_row(name: str, case: dict[str, Any]) -> list[str]:
    rich, status = case["rich"], case["rich"]["status"]
    names = ("ok", "transition", "boundary_transition", "no_reference", "ambiguous")
    offset = f"{case['energy_offset']:+.3f} +- {case.get('energy_offset_error', np.nan):.3f}"
    return [
        f"{name.replace('_', ' ')} ({case['n']})",
        f"{rich['correlation_all']:.3f} ({rich['noise_correlation']:.3f})",
        f"{rich['agrees_all']:.3f} ({rich['noise_agrees']:.3f})",
        *(f"{rich['lone']:.3f}", f"{rich['ok_or_transition']:.3f}"),
        *(f"{status[one]:.3f}" for one in names),
        *(offset, f"{case.get('fitted_blur_px', np.nan):.2f}"),
    ]


def _resampled_lines(rows: Rows) -> list[str]:
    if not rows:
        return []
    keys = list(dict.fromkeys((row["kind"], row["n"]) for row in rows))
    groups = [[row for row in rows if (row["kind"], row["n"]) == key] for key in keys]
    table = markdown_table(RESAMPLED_HEAD, [_resampled_row(group) for group in groups])
    return ["## Put together from the measured stack", "", ABOUT_RESAMPLED, "", *table, ""]


def _resampled_row(rows: Rows) -> list[str]:
    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    scores = ("agrees", "lone", "correlation", "error")
    shares = ("ok", "transition", "boundary_transition", "no_reference")
    return [
        *(rows[0]["kind"], str(rows[0]["n"])),
        *(f"{mean(name):.3f} ({mean(f'nnls_{name}'):.3f})" for name in scores),
        f"{mean('offset_error'):.3f}",
        *(f"{mean(f'status_{name}'):.3f}" for name in shares),
    ]
