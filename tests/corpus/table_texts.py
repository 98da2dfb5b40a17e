"""Builders of text tables: the columns of three spectra at the iron L3 edge, written as programs write them."""

E = [700.0, 705.0, 708.0, 710.0, 712.0, 720.0]
A = [0.11, 0.12, 0.93, 0.52, 0.41, 0.3]
B = [0.21, 0.22, 0.35, 0.84, 0.63, 0.36]
ERROR = [0.01, 0.011, 0.03, 0.02, 0.015, 0.01]
I0 = [52000.0, 51800.0, 51650.0, 51500.0, 51300.0, 50900.0]
IT = [46500.0, 45900.0, 20300.0, 30600.0, 34000.0, 37700.0]
INDEX = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
EMPTY = [""] * 6
AB = {"A": A, "B": B}


def cell(value, form, decimal):
    return value if isinstance(value, str) else format(value, form).replace(".", decimal)


def lines(*columns, sep=",", form="g", decimal=".", before="", end="\n"):
    """Rows of numbers, ended by ``end``."""
    rows = zip(*columns, strict=True)
    return "".join(before + sep.join(cell(v, form, decimal) for v in row) + end for row in rows)


def table(header, *columns, end="\n", **how):
    """A header of one or several lines above rows of numbers."""
    return header.replace("\n", end) + end + lines(*columns, end=end, **how)


def r_rows(*columns, sep=" "):
    """Rows of R: quoted row names from 1."""
    return "".join(f'"{i}"{sep}{line}\n' for i, line in enumerate(lines(*columns, sep=sep).splitlines(), 1))


def xdi(columns, *data, program="GSE/1.0", comment="measured at the foil", labels=None):
    """XDI 1.0 with the named columns, as in the example of its specification."""
    head = [f"# XDI/1.0 {program}", *(f"# Column.{i}: {name}" for i, name in enumerate(columns, 1))]
    head += ["# Element.edge: L3", "# Element.symbol: Fe", "# Scan.edge_energy: 706.8", "# Mono.d_spacing: 3.13553"]
    head += ["# Facility.name: APS", "# Scan.start_time: 2001-06-26T22:27:31", "# ///", f"# {comment}", "#----"]
    names = labels or [name.split()[0] for name in columns]
    return table("\n".join([*head, "# " + " ".join(names)]), *data, sep="  ", form=".6f", before="  ")


def spec(*scans):
    """A SPEC file of scans (number, labels, columns)."""
    head = (
        "#F foil.spec\n#E 1412001795\n#D Mon Sep 29 09:43:15 2014\n#C beamline  User = user\n#O0 Energy  Theta  SampX\n"
    )
    for number, labels, columns in scans:
        text = "  ".join(labels)
        head += (
            f"\n#S {number}  energyscan  700 720 5 1\n#D Mon Sep 29 09:50:00 2014\n#T 1  (Seconds)\n#P0 700 1.5 0.2\n"
        )
        head += f"#N {len(labels)}\n#L {text}\n" + lines(*columns, sep=" ")
    return head


def stars(title="X-ray Absorption Data", name=""):
    """The header that Mantis writes above a spectrum."""
    fields = ["Formula: ", f"Common name: {name}", "Edge: ", "Acquisition mode: ", "Source and purity: ", "Comments: "]
    fields += ["Delta eV: ", "Min eV: ", "Max eV: ", "Y axis: ", "Contact person: ", "Write date: ", "Journal: "]
    body = "\n".join(f"* {field}" for field in fields)
    return f"*********************  {title}  ********************\n*\n{body}\n*{'-' * 62}"
