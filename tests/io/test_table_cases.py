"""Tables as the world writes them: each gives the right numbers, or an error with the argument that decides.

Every case is a small text made from the description of its format. ``right`` holds the spectra by name, or a pattern
of the refusal.
"""

import inspect
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phasekit as pk
from phasekit.errors import ReadError, SchemaError
from phasekit.io.formats.table_dialects import DIALECTS

E = [515.0, 516.5, 517.0, 518.25, 520.0]
A = [0.12, 0.5, 0.91, 0.35, 0.2]
B = [0.1, 0.22, 0.83, 0.7, 0.31]
D = [0.01, 0.02, 0.03, 0.01, 0.02]
COUNTS = [900.0, 850.0, 640.0, 810.0, 870.0]
N = len(E)


class Case(NamedTuple):
    kind: str
    file: str
    text: str | bytes
    right: dict[str, Any] | str
    arguments: dict[str, Any] = {}  # noqa: RUF012 -- never changed
    energy: list[float] = E


def rows(*columns, sep=",", decimal=".", end=""):
    """Lines of numbers."""
    lines = [sep.join(f"{v:g}".replace(".", decimal) for v in row) + end for row in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def table(header, *columns, **how):
    return f"{header}\n{rows(*columns, **how)}"


AB = {"A": A, "B": B}
COUNT = range(N)
FROM_ONE = range(1, N + 1)
RISING = [900.0, 911.0, 925.0, 928.0, 945.0]
REGULAR = [515.0, 515.5, 516.0, 516.5, 517.0]
FALLING = [900.0, 880.0, 871.0, 850.0, 845.0]
KEV = [e / 1000 for e in E]

ENERGY_COLUMN = [
    ("index,energy,A,B", (COUNT, E, A, B), AB),
    ("frame,A,energy,B", (FROM_ONE, A, E, B), AB),
    ("A,B,Photon Energy (eV)", (A, B, E), AB),
    ("#,energy,A,B", (COUNT, E, A, B), AB),
    (",energy,A,B", (COUNT, E, A, B), AB),
    ("A;E/eV;B", (A, E, B), AB),
    ("no;hv;A;B", (FROM_ONE, E, A, B), AB),
    ("counts,energy", (COUNTS, E), {"counts": COUNTS}),
    ("x,A,B", (E, A, B), AB),
    ("A,B,x", (A, B, E), AB),
    ("n,energy,A", (FROM_ONE, E, A), {"A": A}),
    ("time,energy,A,B", ([0.1, 0.2, 0.3, 0.4, 0.5], E, A, B), AB),
    ("energy,A,B,ring current", (E, A, B, [400.0, 399.5, 399.0, 398.0, 397.5]), AB),
    ("energy,energy_readback,A,B", (E, [e + 0.02 for e in E], A, B), AB),
    ("scan,energy,A,B", ([500, 501, 502, 503, 504], E, A, B), AB),
    ("Pt No.,energy,Image Nr,A", (FROM_ONE, E, COUNT, A), {"A": A}),
    ("energy,dwell (ms),Ring Current [mA],A", (E, [1.0] * N, [400.0] * N, A), {"A": A}),
    ("energy_set,energy_readback,A", (E, [e + 0.02 for e in E], A), r"several columns of energies.*energy_column="),
    ("energy,x,A", (COUNT, E, A), r"values of energies in 1 'x'.*energy_column="),
    ("energy,A,B", (A, E, B), r"values of energies in 1 'A'.*energy_column="),
    ("A,B,C", (A, B, D), r"no column of photon energies.*energy_column="),
]
NO_HEADER = [
    ((COUNT, E, A), {"a": A}, ","),
    ((FROM_ONE, E, A, B), {"a_1": A, "a_2": B}, " "),
    ((A, E), {"a": A}, "\t"),
    ((E, COUNTS), {"a": COUNTS}, ";"),
    ((E, FROM_ONE), {"a": list(FROM_ONE)}, ","),
    ((E, FROM_ONE, A), {"a": A}, ","),
    ((COUNTS, E, A), {"a_1": COUNTS, "a_2": A}, ","),
    ((A, B), "no column of photon energies.*energy_column=", ","),
    ((RISING, E, A), r"several columns that may be energies.*energy_column=", ","),
    (([100.0, 200.0, 300.0, 400.0, 500.0], E, A), "may be energies.*energy_column=", ","),
    (([500, 501, 502, 503, 504], E, A), "may be energies.*energy_column=", ","),
    ((REGULAR, FALLING), {"a": FALLING}, " "),
]
UNITS = [
    ("energy (keV),A,B", (KEV, A, B), AB, {}),
    ("Energy_keV,A,B", (KEV, A, B), AB, {}),
    ("energy,A,B\nkeV,,", (KEV, A, B), AB, {}),
    ("energy,A,B\n(eV),(a.u.),(a.u.)", (E, A, B), AB, {}),
    ("E,A,B\neV,OD,OD", (E, A, B), AB, {}),
    ("# energy unit: keV\nenergy,A,B", (KEV, A, B), AB, {}),
    ("# units: eV\nenergy,A,B", (E, A, B), AB, {}),
    ("energy,A,B", (KEV, A, B), "too small for eV.*energy_unit='keV'", {}),
    ("energy,A,B", (KEV, A, B), AB, {"energy_unit": "keV"}),
    ("energy (eV),A,B", (KEV, A, B), "keV called eV.*energy_unit='keV'", {}),
    ("energy (eV),A,B", (KEV, A, B), AB, {"energy_unit": "keV"}),
    ("energy (keV),A,B", (E, A, B), "eV called keV.*energy_unit=.*accept='energy_ev'", {}),
    ("energy (keV),A,B", (E, A, B), AB, {"energy_unit": "eV"}),
    ("wavelength (nm),A,B", ([2.41, 2.4, 2.395, 2.39, 2.38], A, B), "wavelengths", {}),
    ("lambda,A,B", ([44.3, 44.2, 44.1, 44.0, 43.9], A, B), "wavelengths", {}),
    ("Wavelength (A),A,B", ([24.1, 24.0, 23.9, 23.8, 23.7], A, B), "wavelengths", {}),
    ("wl,A,B", ([24.1, 24.0, 23.9, 23.8, 23.7], A, B), "wavelengths", {}),
    (",A,B", ([24.1, 24.0, 23.9, 23.8, 23.7], A, B), "no column of photon energies|too small", {}),
    ("energy [nm],A,B", ([2.41, 2.4, 2.395, 2.39, 2.38], A, B), "energies in 'nm'.*energy_unit=", {}),
]
SEPARATORS = [
    ({"sep": ","}, ","),
    ({"sep": ", "}, ", "),
    ({"sep": ";"}, ";"),
    ({"sep": "\t"}, "\t"),
    ({"sep": "  "}, "  "),
    ({"sep": " ,\t"}, ","),
    ({"sep": ";", "decimal": ","}, ";"),
    ({"sep": "\t", "decimal": ","}, "\t"),
    ({"sep": "  ", "decimal": ","}, "  "),
    ({"sep": ", ", "decimal": ","}, ", "),
    ({"sep": ",", "end": ","}, ","),
    ({"sep": ";", "end": ";"}, ";"),
    ({"sep": "\t", "end": "\t"}, "\t"),
]
TEXTS = [
    ("mixed", "energy A B\n" + "".join(f"{e}, {a} {b}\n" for e, a, b in zip(E, A, B, strict=True)), AB),
    ("mixed", "energy;A;B\n" + "".join(f"{e};{a}\t{b}\n" for e, a, b in zip(E, A, B, strict=True)), AB),
    ("mixed", "energy,A,B\n" + "".join(f"{e:.2f}\t{a:.2f},{b:.2f}\n" for e, a, b in zip(E, A, B, strict=True)), AB),
    ("commas both", rows(E, A, B, decimal=","), "commas that separate columns or mark decimals.*decimal="),
    ("commas both", "515,5,0,12\n516,5,0,13\n517,0,0,2\n", "commas that separate columns or mark decimals.*decimal="),
    ("commas both", "energy,A\n515,5,0,12\n516,5,0,13\n517,0,0,2\n", {"A": [0.12, 0.13, 0.2]}),
    ("thousands", 'energy,A\n"1,515.5",0.1\n"1,516.5",0.2\n', "thousands"),
    ("thousands", "energy;A\n1.515,5;0,1\n1.516,5;0,2\n", "thousands"),
    ("thousands", "energy\tA\n1,515.5\t0.1\n1,516.5\t0.2\n", "thousands"),
    ("thousands", "energy;A\n1 515,5;0,1\n1 516,5;0,2\n", "thousands"),
    ("thousands", "energy;A\n1'515.5;0.1\n1'516.5;0.2\n", "thousands"),
    ("thousands", "1,515.5,0.1\n1,516.5,0.2\n1,517.5,0.3\n", "thousands"),
    ("thousands", "energy\tA\n7,112\t0.15\n7,113\t0.25\n", "thousands"),
    ("thousands", "energy;A\n7,112;1,512\n7,113;1,525\n", "decimal="),
    ("two marks", "energy;A\n515.5;0,1\n516.5;0,2\n", "thousands separators or two decimal marks"),
    ("quoted", table('energy,"A, oxidised","B, ""reduced"""', E, A, B), {"A, oxidised": A, 'B, "reduced"': B}),
    ("quoted", table('"energy";"A; x";"B"', E, A, B, sep=";"), {"A; x": A, "B": B}),
    ("quoted", table('"Photon energy" "A ox" "B red"', E, A, B, sep=" "), {"A ox": A, "B red": B}),
    ("quoted", '"energy","A"\n' + "".join(f'"{e}","{a}"\n' for e, a in zip(E, A, strict=True)), {"A": A}),
    ("quoted", table("energy,A, oxidised,B", E, A, B), "4 name.* above 3 columns.*energy_column=0, columns=\\[1\\]"),
    ("comments", "# one\n% two\n! three\n// four\n" + table("energy,A,B", E, A, B), AB),
    ("comments", "; one\n;two; three\n" + table("energy,A,B", E, A, B), AB),
    ("comments", "# composition: 3,1,,\n" + table("energy;A;B", E, A, B, sep=";"), AB),
    ("comments", table(";energy;A;B", COUNT, E, A, B, sep=";"), AB),
    ("comments", '"# made by a spreadsheet",,\n' + table("energy,A,B", E, A, B), AB),
    ("comments", table("# energy A B", E, A, B, sep=" "), AB),
    ("comments", table("#\tenergy\tA\tB", E, A, B, sep="\t"), AB),
    ("comments", "energy A\n" + "".join(f"{e} {a} # note\n" for e, a in zip(E, A, strict=True)), {"a": A}),
    ("comments", table("% my energy", E, A, sep=" "), {"a": A}),
    ("totals", table("energy,A,B", E, A, B) + "mean,0.4,0.4\n", AB),
    ("totals", table("energy;A;B", E, A, B, sep=";", decimal=",") + "Summe;;2,1\n", AB),
    ("totals", table("energy\tA\tB", E, A, B, sep="\t") + "Total:\t2.0\t2.1\n", AB),
    ("totals", table("energy,A,B", E, A, B) + f"{sum(E)},{sum(A)},{sum(B)}\n", AB),
    ("totals", table("energy,A,B", E, A, B) + f"{sum(E) / N:.2f},{sum(A) / N:.3f},{sum(B) / N:.3f}\n", AB),
    ("quoted", table('energy,"A\nox",B', E, A, B), {"A ox": A, "B": B}),
    ("totals", table("energy,A,B", E, A, B) + ",0.4,0.4\n", "not all positive.*energy_column="),
    ("totals", table("energy,A,B", E, A, B) + "checked,0.4,0.4\n", "no table of numbers at line 'checked"),
    ("falling", table("energy,A,B", E[::-1], A[::-1], B[::-1]), AB),
    ("falling", rows(E[::-1], A[::-1], sep=" "), {"a": A}),
    ("falling", table("index,energy,A", COUNT, E[::-1], A[::-1]), {"A": A}),
    ("missing", table("energy,A,B", E, A, B).replace("0.83", ""), "missing or infinite"),
    ("missing", table("energy\tA\tB", E, A, B, sep="\t").replace("0.91", "n/a"), "missing or infinite"),
    ("missing", table("energy,A,B", E, A, B).replace("517", ""), "not all positive"),
    ("missing", table("energy,A,B", E, A, B).replace(",0.83", ""), "no table of numbers at line '517,0.91'"),
    ("missing", table("energy,A,B", E, A, B) + ",,\n,,\n", AB),
    ("damaged", table("energy,A,B", E, A, B).replace("515,0.12", "515,0.1x2"), "no table of numbers at line '515"),
    ("damaged", rows(E, A, B).replace("515,0.12", "515"), "no table of numbers at line '515"),
    ("damaged", table("energy,A,B", E, A, B).replace("0.91", "0.9.1"), "no table of numbers at line '517"),
    ("doubled", table("energy,A,A", E, A, B), r"same name.*columns=\[1, 2\]"),
    ("doubled", table("energy,A,energy", E, A, E), {"A": A}),
    ("text columns", table("sample,energy,A,B", E, A, B).replace("51", "x,51").replace("520", "x,520"), AB),
    (
        "text columns",
        "".join(f"2026-01-02T10:00:0{i},{e},{a}\n" for i, (e, a) in enumerate(zip(E, A, strict=True))),
        {"a": A},
    ),
    (
        "text energies",
        "energy,counts,A\n" + "".join(f"{e} eV,{2 * e},{a}\n" for e, a in zip(E, A, strict=True)),
        "text where the column 0 'energy' should hold numbers.*energy_column=",
    ),
    ("three headers", table("Photon Energy\tOD\tOD\neV\t\t\n\tNa3\tNa1", E, A, B, sep="\t"), {"Na3": A, "Na1": B}),
    ("one energy", "energy,A\n515,1\n515,2\n", "2 rows of one energy.*energy_column="),
    ("transmission", table("energy,transmission", E, A), "a transmission and no absorption.*columns="),
    ("other headers", table("Photon Energy (eV), A", E, A, sep="  "), {"A": A}),
    ("count line", f"% title\n{N}\n" + rows(E, A, sep=" "), {"a": A}),
]
ERRORS = [
    ("energy,A,A_error,B,B_error", (E, A, D, B, D), AB),
    ("energy,A,B,sigma", (E, A, B, D), AB),
    ("energy,A,err,B,err", (E, A, D, B, D), AB),
    ("energy,A,std_A,B,std_B", (E, A, D, B, D), AB),
    ("energy,A,±A,B,±B", (E, A, D, B, D), AB),
    ("energy,A,+/-,B,+/-", (E, A, D, B, D), AB),
    ("energy,A,d_A,B,dB", (E, A, D, B, D), AB),
    ("energy,A,A (sd),B,B standard deviation", (E, A, D, B, D), AB),
    ("energy,A,σ_A,B,uncertainty of B", (E, A, D, B, D), AB),
    ("energy,A,A_e,B,B_e", (E, A, D, B, D), AB),
    ("energy,A,A+err,A-err,B", (E, A, B, D, B), AB),
    ("energy,A,A upper,A lower,B", (E, A, B, D, B), AB),
    ("energy,A,B,C_err", (E, A, B, D), r"may be errors.*columns="),
    ("energy,A_std,B_std", (E, A, B), r"may be errors.*columns=\['A_std', 'B_std'\]"),
    ("energy,energy_error,A,B", (E, D, A, B), AB),
    ("energy,A,B,mean", (E, A, B, B), r"errors or sums.*columns="),
]
SAMPLES = [
    ("energy,A,E", (E, A, B), {"A": A, "E": B}),
    ("E,A,mono", (E, A, B), {"A": A, "mono": B}),
    ("energy,K,N,Ir", (E, A, B, D), {"K": A, "N": B, "Ir": D}),
    ("energy,O2,UO2,SO2", (E, A, B, D), {"O2": A, "UO2": B, "SO2": D}),
]
PAIRS = [
    ("E_A,A,E_B,B", {}),
    ("energy,A,energy,B", {}),
    ("E,A,E,B", {}),
    ("x,A,x,B", {}),
    ("Energy (eV),A,Energy (eV),B", {}),
    ("energy A,A,energy B,B", {}),
    ("energy1,A,energy2,B", {}),
    ("A,,B,", {}),
    ("A,,B,\nenergy,OD,energy,OD", {}),
    ("A_x,A_y,B_x,B_y", {}),
    ("e1,A,e2,B", {}),
    ("A energy,A,B energy,B", {}),
]


def make_cases():
    for header, columns, right in ENERGY_COLUMN:
        yield Case("energy column", "a.csv", table(header, *columns, sep=";" if ";" in header else ","), right)
    for columns, right, sep in NO_HEADER:
        energy = REGULAR if columns[0] is REGULAR else E
        yield Case("no header", "a.txt", rows(*columns, sep=sep), right, {}, energy)
    for header, columns, right, arguments in UNITS:
        yield Case("units", "a.csv", table(header, *columns), right, arguments)
    for how, sep in SEPARATORS:
        yield Case("separators", "a.csv", table(sep.join(("energy", "A", "B")), E, A, B, **how), AB)
        yield Case("separators, no header", "a.csv", rows(E, A, B, **how), {"a_1": A, "a_2": B})
    for kind, text, right in TEXTS:
        energy = [515.5, 516.5, 517.0] if kind == "commas both" else E
        yield Case(kind, "a.csv" if any(c in text for c in ",;\t") else "a.txt", text, right, {}, energy)
    for header, columns, right in SAMPLES:
        yield Case("names of substances", "a.csv", table(header, *columns), right)
    for header, columns, right in ERRORS:
        yield Case("errors", "a.csv", table(header, *columns), right)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"):
        for newline in ("\n", "\r\n", "\r"):
            text = table("énergie (eV)\tµ-A\tB", E, A, B, sep="\t").replace("\n", newline)
            yield Case("encodings", "a.csv", text.encode(encoding), {"µ-A": A, "B": B})


PAIR_E = [514.0, 516.0, 518.0, 519.0, 521.0]
SPEC = """#F file
#E 1700000000
#D Mon Jan 05 10:00:00 2026

#S 1  ascan  energy 515 520 4 1
#D Mon Jan 05 10:00:01 2026
#N 4
#L Energy  Epoch  Seconds  mu
{one}
#S 2  ascan  energy 515 520 4 1
#N 4
#L Energy  Epoch  Seconds  mu
{two}
"""
ONE, TWO = (rows(E, COUNT, [1.0] * N, s, sep=" ").strip() for s in (A, B))
SPEC_FILE = SPEC.format(one=ONE, two=TWO)
ATHENA = "# Athena data file -- Demeter version 0.9.26\n# Saving marked groups\n# .  Element=V   Edge=K\n#----------\n"
MANTIS = "*****************  X-ray Absorption Data  ****************\n*\n* Formula: V2O5\n* Common name: A\n* Edge: \n"
XDI = "# XDI/1.0 GSE/1.0\n# Column.1: energy eV\n{columns}# Element.symbol: V\n# ///\n# remark\n#-----\n# {names}\n"


def xdi(*names):
    columns = "".join(f"# Column.{k + 2}: {name}\n" for k, name in enumerate(names))
    return XDI.format(columns=columns, names=" ".join(("energy", *names)))


FILES = [
    ("SPEC", "a.spec", SPEC_FILE, r"2 scans in one file \(1: ascan.*; 2: ascan.*scan='1'", {}),
    ("SPEC", "a.spec", SPEC_FILE, {"a": A}, {"scan": 1}),
    ("SPEC", "a.spec", SPEC_FILE, {"a": B}, {"scan": "2"}),
    ("SPEC", "a.spec", SPEC_FILE, r"but not '3'.*scan=", {"scan": 3}),
    ("SPEC", "a.spec", SPEC_FILE.split("#S 2")[0], {"a": A}, {}),
    ("SPEC", "a.spec", SPEC_FILE.replace("#S 2", "#S 1"), {"a": B}, {"scan": "1.2"}),
    ("SPEC", "a.spec", SPEC_FILE.replace("#S 2", "#S 1"), r"1\.1: ascan", {"scan": 1}),
    ("SPEC", "a.spec", SPEC.format(one=ONE, two=""), {"a": A}, {}),
    ("SPEC", "a.spec", SPEC_FILE.replace("\n517", "\n@A 1 2 3\\\n 4 5 6\n517"), {"a": A}, {"scan": 1}),
    ("SPEC", "a.spec", SPEC_FILE.replace("Seconds", "Det Two"), r"Det Two.*columns=", {"scan": 1}),
    ("blocks", "a.csv", table("energy,A", E, A) + table("energy,A", E, B), r"2 scans.*scan='1'", {}),
    ("blocks", "a.csv", table("energy,A", E, A) + table("energy,A", E, B), {"A": B}, {"scan": 2}),
    ("blocks", "a.csv", rows(E, A) + rows(E, B), r"2 times through one range \(1: 515 to 520 eV.*scan='1'", {}),
    ("blocks", "a.csv", table("energy,A", E + E, A + B), {"A": A}, {"scan": 1}),
    ("blocks", "a.csv", table("energy,A", E + E[::-1], A + B), r"2 times.*scan=", {}),
    ("blocks", "a.csv", table("energy,A", [*E, *(e + 0.1 for e in E)], A + B), r"2 times.*scan=", {}),
    (
        "blocks",
        "a.txt",
        "".join(f"scan {k}\n" + table("energy A", E, v, sep=" ") for k, v in enumerate((A, B))),
        r"2 scans.*scan='1'",
        {},
    ),
    ("blocks", "a.csv", table("energy,A", E, B) + table("energy,A,B", E, A, B), r"2 scans.*scan='1'", {}),
    ("blocks", "a.csv", table("energy,A", E, B) + table("energy,A,B", E, A, B), AB, {"scan": 2}),
    (
        "SPEC",
        "a.dat",
        "#S 5 ascan en 1 2\n#N 3\n#L mono en  Seconds  mu_trans\n" + rows(E, [1.0] * N, A, sep=" "),
        {"a": A},
        {},
    ),
    ("blocks", "a.csv", rows([515, 516, 517, 515.5, 516.5, 517.5], [*A, 0.1]), r"2 times.*scan=", {}),
    ("shuffled", "a.csv", table("energy,A", *zip(*[(E[k], A[k]) for k in (3, 0, 4, 1, 2)], strict=True)), {"A": A}, {}),
    ("blocks", "a.csv", table("energy,A", E, A), r"one scan, but not scan='2'", {"scan": 2}),
    ("Athena", "a.xmu", table(ATHENA + "#  energy  A  B", E, A, B, sep="   "), AB, {}),
    (
        "Athena",
        "a.xmu",
        table(ATHENA + "#  energy  xmu  bkg  pre_edge  post_edge  der  sec", E, A, B, B, B, D, D, sep=" "),
        {"a": A},
        {},
    ),
    (
        "Athena",
        "a.nor",
        table(ATHENA + "#  energy norm nbkg flat fbkg nder nsec", E, A, B, B, B, D, D, sep=" "),
        {"a": A},
        {},
    ),
    (
        "Athena",
        "a.chi",
        table(ATHENA + "#  k chi chik chik2 chik3 win energy", A, B, B, B, B, D, E, sep=" "),
        r"columns=",
        {},
    ),
    (
        "Athena",
        "a.chi",
        table(ATHENA + "#  k chi chik", [0.0, 0.05, 0.1, 0.15, 0.2], A, B, sep=" "),
        r"no column of photon energies",
        {},
    ),
    ("Athena", "a.prj", "# Athena project file -- Demeter version 0.9.26\n@x = (5);\n", "an Athena project", {}),
    ("Athena", "a.prj", b"\x1f\x8b\x08" + bytes(100), "a compressed file, such as an Athena project", {}),
    (
        "Athena",
        "a.xmu",
        table(
            "# XDI/1.0 Demeter/0.9.26\n# Column.1: energy eV\n# Column.2: A\n# Column.3: B\n#----\n# energy A B",
            E,
            A,
            B,
            sep="  ",
        ),
        AB,
        {},
    ),
    ("XDI", "a.xdi", table(xdi("i0", "mutrans"), E, COUNTS, A, sep=" "), {"a": A}, {}),
    (
        "XDI",
        "a.xdi",
        table(xdi("i0", "itrans", "murefer"), E, [2.0] * N, [1.0] * N, B, sep=" "),
        {"a": [np.log(2)] * N},
        {},
    ),
    ("XDI", "a.xdi", table(xdi("norm", "std_norm"), E, A, D, sep=" "), {"a": A}, {}),
    ("XDI", "a.xdi", table(xdi("i0", "strange"), E, COUNTS, A, sep=" "), r"strange.*columns=", {}),
    ("XDI", "a.xdi", table(xdi("i0", "strange"), E, COUNTS, A, sep=" "), {"a": A}, {"columns": "strange"}),
    ("Mantis", "a.csv", MANTIS + rows(E, A, sep=", "), {"a": A}, {}),
    ("Mantis", "a.csv", MANTIS + rows(E, A, sep=",", end=","), {"a": A}, {}),
    ("Mantis", "a.xas", MANTIS.replace("\n", "\r\n") + rows(E, A, sep="   "), {"a": A}, {}),
    ("aXis2000", "a.txt", f"% 05-Jan-2026 A\n{N}\n" + rows(E, A, sep="  "), {"a": A}, {}),
    ("aXis2000", "a.txt", "% a spectrum of axis\n" + rows(E, A, sep="  "), {"a": A}, {}),
    (
        "SDF",
        "i0.xsp",
        "7.0000000E+2 9.0148397E+2\n7.0037500E+2 9.0358931E+2\n7.0075000E+2 9.0445766E+2\n",
        {"i0": [901.48397, 903.58931, 904.45766]},
        {},
        [700.0, 700.375, 700.75],
    ),
    ("SDF", "a.xsp", rows(E, A, sep="\t", end="\t"), {"a": A}, {}),
    ("SDF", "a.xsp", rows(E, A, B, sep="\t"), {"a_1": A, "a_2": B}, {}),
    ("aXis2000", "a.xas", "* A\n* 300 K\n" + rows(E, A, sep="  "), {"a": A}, {}),
    (
        "instrument header",
        "a.txt",
        "HEADER\nDate: 5.1.2026\nBeamline 6.3.1\nSample\tA\nDATA\n" + table("Energy\tI0\tmu", E, COUNTS, A, sep="\t"),
        {"a": A},
        {},
    ),
    (
        "instrument header",
        "a.xas",
        "Scan 12 from 515 to 520 eV\nDwell 1 s\n" + table("Mono Energy   A", E, A, sep="  "),
        {"a": A},
        {},
    ),
    (
        "instrument header",
        "a.txt",
        "Time (s)\tEnergy (eV)\tTEY\tI0\n" + rows(FROM_ONE, E, A, COUNTS, sep="\t"),
        r"measured signals.*columns=",
        {},
    ),
    (
        "instrument header",
        "a.txt",
        "Time (s)\tEnergy (eV)\tTEY\tI0\n" + rows(FROM_ONE, E, A, COUNTS, sep="\t"),
        {"a": A},
        {"columns": ["TEY"]},
    ),
    ("several signals", "a.csv", table("energy,i0,it", E, [2.0] * N, [1.0] * N), {"a": [np.log(2)] * N}, {}),
    ("several signals", "a.csv", table("energy,mu,A", E, A, B), r"measured signals beside.*columns=", {}),
    ("several signals", "a.csv", table("energy,A,B,background", E, A, B, D), AB, {}),
    ("choices", "a.csv", table("energy,A,B", E, A, B), {"B": B}, {"columns": "B"}),
    ("choices", "a.csv", table("energy,A,B", E, A, B), {"B": B, "A": A}, {"columns": ["B", 1]}),
    ("choices", "a.csv", table("energy,A,A", E, A, B), {"A_1": A, "A_2": B}, {"columns": [1, 2]}),
    (
        "choices",
        "a.csv",
        table("p,q,A", E, [e + 1 for e in E], A),
        {"A": A, "p": E},
        {"energy_column": "q", "columns": ["A", "p"]},
        [e + 1 for e in E],
    ),
    ("choices", "a.csv", table("energy,A,B", E, A, B), r"no column 'C' .*choose columns=", {"columns": "C"}),
    (
        "choices",
        "a.csv",
        table("energy,A,B", E, A, B),
        r"no column 'C' .*choose energy_column=",
        {"energy_column": "C"},
    ),
    ("choices", "a.csv", table("energy,A,B", E, A, B), r"among columns=", {"columns": ["energy", "A"]}),
    (
        "other files",
        "a.csv",
        "##TITLE=x\n##JCAMP-DX=4.24\n##XYDATA=(X++(Y..Y))\n515 1 2 3\n518 4 5 6\n",
        "JCAMP-DX",
        {},
    ),
    ("other files", "a.csv", b"PK\x03\x04" + bytes(50), "an Excel workbook", {}),
    ("other files", "a.txt", "<html>\n<body>\n", "no table", {}),
]
CASES = [*make_cases(), *(Case(*case) for case in FILES)]


def write(folder, case):
    path = folder / case.file
    path.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode("utf-8"))
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_case(tmp_path, case):
    path = write(tmp_path, case)
    if isinstance(case.right, str):
        with pytest.raises(ReadError, match=f"(?s){case.right}") as caught:
            pk.io.open_references(path, **case.arguments)
        check_arguments(caught.value, pk.io.open_references)
        return
    refs = pk.io.open_references(path, **case.arguments)
    assert refs.reference.values.tolist() == list(case.right)
    assert_allclose(refs.energy, case.energy, rtol=1e-9)
    assert_allclose(refs.reference_spectrum, list(case.right.values()), rtol=1e-9)


def check_arguments(error, *functions):
    """Every ``name=`` of a cure is an argument of one of the functions."""
    known = {name for function in functions for name in inspect.signature(function).parameters}
    said = set(re.findall(r"\b([a-z]\w*)=", error.cure))
    assert said <= known, f"{said - known} in {error.cure!r}"


@pytest.mark.parametrize(("header", "arguments"), PAIRS, ids=str)
def test_pairs_keep_their_own_energies(tmp_path, header, arguments):
    path = tmp_path / "a.csv"
    path.write_text(table(header, E, A, PAIR_E, B), encoding="utf-8")
    refs = pk.io.open_references(path, **arguments)
    assert refs.reference.values.tolist() == ["A", "B"]
    for name, energy, values in (("A", E, A), ("B", PAIR_E, B)):
        inside = refs.energy.values
        assert_allclose(refs.reference_spectrum.sel(reference=name), np.interp(inside, energy, values))
    assert (refs.energy.min(), refs.energy.max()) == (515, 520)
    assert "interpolated" in refs.reference_spectrum.attrs["comment"]


def test_pairs_of_unequal_length_with_errors_and_equal_axes(tmp_path):
    path = tmp_path / "a.csv"
    lines = rows(E, A, D, PAIR_E, B, D).splitlines()
    path.write_text("\n".join(["E_A,A,A_err,E_B,B,B_err", *lines[:-1], "520,0.2,0.02,,,"]) + "\n", encoding="utf-8")
    refs = pk.io.open_references(path)
    assert refs.reference.values.tolist() == ["A", "B"]
    assert refs.energy.max() == 519
    assert_allclose(refs.reference_spectrum[1], np.interp(refs.energy, PAIR_E[:-1], B[:-1]))
    path.write_text("# composition: 3, 1\n" + table("E_A,A,E_B,B", E, A, E, B), encoding="utf-8")
    refs = pk.io.open_references(path)
    assert_allclose(refs.reference_spectrum, [A, B])
    assert_allclose(refs.composition, [3, 1])
    path.write_text("# composition: 3, 1\n" + table("E_A,A,E_B,B", E, A, PAIR_E, B), encoding="utf-8")
    refs = pk.io.open_references(path, columns="B")
    assert_allclose(refs.reference_spectrum, [B])
    assert_allclose(refs.composition, [1])
    path.write_text(rows(E, A, PAIR_E, B), encoding="utf-8")
    assert_allclose(pk.io.open_references(path).energy[0], 515)


def test_every_dialect_has_cases():
    kinds = [case.kind for case in CASES]
    for dialect in DIALECTS:
        assert dialect.name == "delimited text" or kinds.count(dialect.name) >= 3, dialect.name


def test_what_is_left_out_is_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table("index,energy,A,A_err,bkg", COUNT, E, A, D, B), encoding="utf-8")
    comment = pk.io.open_references(path).reference_spectrum.attrs["comment"]
    assert comment == "a.csv: columns left out: index, A_err, bkg"


def test_composition_follows_the_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("# composition: 3, 1\n" + table("energy,A,B", E, A, B), encoding="utf-8")
    assert pk.io.open_references(path, columns=["B", "A"]).composition.values.tolist() == [1, 3]
    assert pk.io.open_references(path, columns="B").composition.values.tolist() == [1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"columns": []},
        {"columns": ["A", "A"]},
        {"columns": [1.5]},
        {"energy_column": -1},
        {"scan": "x"},
        {"energy_unit": "nm"},
        {"decimal": ";"},
        {"accept": "anything"},
    ],
    ids=str,
)
def test_wrong_arguments(tmp_path, arguments):
    for function in (pk.io.open_references, pk.io.open_i0):
        with pytest.raises(SchemaError, match=next(iter(arguments))):
            function(tmp_path / "missing.csv", **arguments)
