"""Random tables: whatever their order, separators, marks and encoding, the same numbers come out or an error does."""

import os
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import phasekit as pk
from phasekit.errors import ReadError

SEPARATORS = (",", ", ", ";", "; ", "\t", " ", "   ", ",\t", " ; ")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
NAMES = ("Na3", "LiFePO4", "oxidised", "phase 2", "Fe(III)", "V2O5_1", "β", "α, old", "2.4", "x1", "Na")


@st.composite
def spectra(draw, largest=2.0):
    """Energies that rise by irregular steps, and spectra of a few digits."""
    n = draw(st.integers(5, 12))
    steps = draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))
    energy = np.round(draw(st.sampled_from([280.0, 515.0, 700.0, 1830.0, 7100.0])) + np.cumsum(steps) / 8, 3)
    number = st.integers(0, 10_000).map(lambda i: round(i / 10_000 * largest, 4))
    count = draw(st.integers(1, 3))
    values = [draw(st.lists(number, min_size=n, max_size=n)) for _ in range(count)]
    return energy, np.array(values)


@st.composite
def styles(draw):
    """How a table is written."""
    decimal = draw(st.sampled_from([".", ".", ","]))
    return {
        "separator": draw(st.sampled_from(SEPARATORS)),
        "decimal": decimal,
        "digits": draw(st.sampled_from(["{:.10g}", "{:.4f}", "{:.8e}", "{:10.4f}"])),
        "newline": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "comment": draw(st.sampled_from(["", "# made by hand", "% 5 K", "! 12 scans, 3 days", "// x; y", "* *"])),
        "quoted": draw(st.booleans()),
        "trailing": draw(st.booleans()),
    }


def write_table(columns, names, style):
    """Bytes of a table; ``names`` of None: no header."""
    separator = style["separator"]
    rows = [
        separator.join(style["digits"].format(v).replace(".", style["decimal"]) for v in row)
        for row in zip(*columns, strict=True)
    ]
    if names is not None:
        names = [f'"{name}"' if style["quoted"] or "," in name or " " in name else name for name in names]
        rows.insert(0, separator.join(names))
    rows = [row + separator.strip(" ") for row in rows] if style["trailing"] else rows
    rows = ([style["comment"]] if style["comment"] else []) + rows
    return (style["newline"].join(rows) + style["newline"]).encode(style["encoding"], errors="replace")


def read_back(content, **arguments):
    """References of a table, None where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(content)
        try:
            return pk.io.open_references(path, **arguments)
        except ReadError:
            return None


def compare(refs, energy, values):
    """The numbers are those written, up to the digits of the text."""
    assert refs.sizes["reference"] == len(values)
    assert_allclose(refs.energy, energy, rtol=0, atol=2e-3)
    assert_allclose(refs.reference_spectrum, values, rtol=1e-5, atol=1e-4)


# More examples than in the suite: PHASEKIT_EXAMPLES=2000 pytest tests/io/test_fuzz_tables.py
EXAMPLES = int(os.environ.get("PHASEKIT_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@FUZZ
@given(data=st.data(), table=spectra(), style=styles())
def test_a_header_finds_the_energies_wherever_they_stand(data, table, style):
    energy, values = table
    names = data.draw(st.lists(st.sampled_from(NAMES), min_size=len(values), max_size=len(values), unique=True))
    columns = [*zip(names, values, strict=True)]
    columns.append((data.draw(st.sampled_from(["energy", "Energy (eV)", "E/eV", "photon energy"])), energy))
    if data.draw(st.booleans()):
        columns.append(("index", np.arange(energy.size)))
    if data.draw(st.booleans()):
        columns.append((f"{names[0]}_err", values[0] / 10))
    order = data.draw(st.permutations(range(len(columns))))
    written = [columns[k] for k in order]
    content = write_table([c for _, c in written], [name for name, _ in written], style)
    refs = read_back(content)
    if refs is None:
        return
    compare(refs, energy, [values[names.index(name)] for name, _ in written if name in names])


@FUZZ
@given(data=st.data(), table=spectra(), style=styles())
def test_without_a_header_the_values_tell(data, table, style):
    energy, values = table
    order = data.draw(st.permutations(range(len(values) + 1)))
    columns = [*values, energy]
    refs = read_back(write_table([columns[k] for k in order], None, style))
    if refs is not None:
        compare(refs, energy, [values[k] for k in order if k < len(values)])


@FUZZ
@given(data=st.data(), table=spectra(largest=3000.0), style=styles())
def test_counts_without_a_header_are_not_taken_for_energies(data, table, style):
    energy, values = table
    order = data.draw(st.permutations(range(len(values) + 1)))
    columns = [*values, energy]
    refs = read_back(write_table([columns[k] for k in order], None, style))
    if refs is not None and order != (0, 1):
        # Counts that rise like an axis are told from one by nothing but custom.
        rising = any((np.diff(v) >= 0).all() or (np.diff(v) <= 0).all() for v in values)
        if not rising:
            assert_allclose(refs.energy, energy, rtol=0, atol=2e-3)


@FUZZ
@given(table=spectra(), style=styles(), damage=st.data())
def test_a_damaged_byte_is_refused_or_seen_in_one_place(table, style, damage):
    energy, values = table
    names = ["energy", *NAMES[: len(values)]]
    content = bytearray(write_table([energy, *values], names, {**style, "encoding": "utf-8"}))
    content[damage.draw(st.integers(0, len(content) - 1))] = damage.draw(st.sampled_from(list(b"x,; \t.0")))
    read_back(bytes(content))


@FUZZ
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))))
def test_noise_is_refused(content):
    read_back(content)
