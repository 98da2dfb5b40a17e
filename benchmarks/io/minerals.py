"""Open every structure of the mineral database: what is refused and why, and the density beside the stated one.

    python -m benchmarks.io.minerals amcsd_cif1.db benchmarks/io/report

The file comes with the larixite wheel, a part of xraylarch: ``pip download --no-deps larixite``, then unpack it.
"""

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.report import markdown_table, save_report
from phasekit.errors import ReadError
from phasekit.io.crystal import open_phase
from phasekit.io.formats.crystal.cif import read_text

from .database import Entry, read_entries

_AVOGADRO = 0.602214076  # u per (angstrom^3 g/cm^3)
_LARGEST_DEVIATION = 0.02
_SAMPLE = 10  # of so many structures one is opened whole, with the search for its symmetry


class Opened(NamedTuple):
    """What became of one structure: density [g/cm^3] or the cause of its refusal, and what was said aloud."""

    number: int
    density: float
    stated: float
    cause: str
    remarks: tuple[str, ...]
    deuterated: bool


def measure_entry(entry: Entry) -> Opened:
    """Open one structure, and one of ten as a phase with the symmetry of its atoms."""
    deuterated = any(re.match(r"D\d*$", label) for label in entry.labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            crystal = read_text(entry.text, "CIF")
            if entry.number % _SAMPLE == 0:
                open_phase(entry.text)
        except ReadError as error:
            return Opened(entry.number, np.nan, entry.density, error.found, (), deuterated)
    # Some files name the hydrogen in a label and list it as well: the reading nearer to the file counts.
    volume = abs(float(np.linalg.det(crystal.base)))
    masses = [
        sum(site.occupancy * len(orbit) * _find_mass(site, named=named) for site, orbit in crystal.atoms)
        for named in (True, False)
    ]
    density = min((mass / volume / _AVOGADRO for mass in masses), key=lambda value: abs(value - entry.density))
    said = tuple(str(one.message) for one in caught)
    return Opened(entry.number, density, entry.density, "", (*crystal.remarks, *said), deuterated)


def _find_mass(site: Any, *, named: bool) -> float:
    """Mass [u] of an atom by the isotope of its label, with the hydrogen that this names (Wat, O-H) where asked for."""
    import periodictable

    symbol = periodictable.elements.symbol
    label = site.label.lower()
    hydrogen = 2 if label.startswith("wat") else 1 if label.startswith("o-h") else 0
    own = "D" if site.element == "H" and re.match(r"d\d*$", label) else site.element
    return float(symbol(own).mass + named * hydrogen * symbol("H").mass)


def sort_cause(found: str) -> str:
    """Kind of a refusal: its message without numbers and names.

    >>> sort_cause("a total occupancy of 2.00 within 0.4 angstrom of [0.0, 0.0, 0.1]")
    'more than one atom in a place'
    """
    kinds = {
        "more than one atom in a place": r"total occupancy",
        "a cell that its symmetry lines do not leave unchanged": r"do not leave unchanged",
        "fewer atoms of an element than the formula has": r"^fewer ",
        "density or formula units that contradict the atoms": r"but _(exptl|cell)_",
        "an element that is not certain": r"unknown element|own formula|two elements|water or a|formula has both",
        "symmetry lines that are not the stated group": r"symmetry lines",
        "beside a symmetry element, not on it": r"close to a symmetry element",
        "no number in the cell, an occupancy above 1": r"as _cell|with occupancy",
    }
    return next((kind for kind, pattern in kinds.items() if re.search(pattern, found)), found)


def summarise_results(results: Sequence[Opened]) -> dict[str, Any]:
    """Numbers of the report: opened, refused by cause, densities off by more than 2 %, remarks."""
    refused = [one for one in results if one.cause]
    opened = [one for one in results if not one.cause]
    off = [one for one in opened if not abs(one.density / one.stated - 1) <= _LARGEST_DEVIATION]
    whole = [one for one in opened if one.number % _SAMPLE == 0]
    causes: dict[str, list[int]] = {}
    for one in refused:
        causes.setdefault(sort_cause(one.cause), []).append(one.number)
    return {
        "structures": len(results),
        "opened": len(opened),
        "deuterated": [sum(one.deuterated for one in group) for group in (opened, results)],
        "refused": dict(sorted(causes.items(), key=lambda item: -len(item[1]))),
        "off": [[one.number, round(one.density, 3), one.stated] for one in off],
        "whole": len(whole),
        "remarked": Counter(bool(one.remarks) for one in whole)[True],
    }


def compose_report(results: dict[str, Any]) -> list[str]:
    """Lines of the page."""
    rows = [[cause, str(len(numbers)), _join_numbers(numbers)] for cause, numbers in results["refused"].items()]
    off = [
        [str(number), f"{density:.3f}", f"{stated:.3f}", f"{density / stated - 1:+.3f}"]
        for number, density, stated in results["off"]
    ]
    return [
        "# Structures of the American Mineralogist database: measured",
        "",
        "`python -m benchmarks.io.minerals DATABASE benchmarks/io/report` makes this page. The database is that of the "
        "larixite wheel, which xraylarch installs. Its structures are written as CIF texts, with labels as the only "
        "names of atoms.",
        "",
        f"Opened: {results['opened']} of {results['structures']} structures, among them {results['deuterated'][0]} of "
        f"{results['deuterated'][1]} with deuterium. The density of all but {len(off)} agrees with that of the file "
        "within 2 %. Hydrogen that a label names (Wat, O-H) is counted where the file does so.",
        "",
        f"Of {results['whole']} structures opened with the search for their symmetry, {results['remarked']} have "
        "another symmetry than they state, which is said aloud.",
        "",
        "## Refused, by cause",
        "",
        *markdown_table(["cause", "number", "entries"], rows),
        "",
        "## Density off by more than 2 %",
        "",
        *markdown_table(["entry", "found", "stated", "difference"], off),
    ]


def _join_numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return f"{shown}, ..." if len(numbers) > 12 else shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    settings = parser.parse_args()
    with Pool(settings.processes) as pool:
        results = summarise_results(pool.map(measure_entry, list(read_entries(settings.database)), chunksize=20))
    save_report(results, compose_report(results), settings.target, page="minerals.md")


if __name__ == "__main__":
    main()
