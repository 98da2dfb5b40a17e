"""Tables from spreadsheets, statistics and plotting programs."""

from typing import NamedTuple

from .expected import Opens, Refused
from .table_texts import AB, EMPTY, ERROR, I0, INDEX, A, B, E, lines, r_rows, table


class Table(NamedTuple):
    """One input: the text, what is right, and why."""

    name: str
    text: str | bytes
    right: Opens | Refused
    why: str
    file: str = "table.txt"
    given: dict = {}  # noqa: RUF012 -- never changed


RIGHT = Opens(AB, E)
E_SI = [1840.0, 1841.5, 1843.0, 1845.0, 1847.5, 1850.0]
GERMAN = table("Energie (eV);Goethit;Hämatit", E, A, B, sep=";", decimal=",", end="\r\n")
FRENCH = table("Énergie (eV);échantillon;référence", E, A, B, sep=";", decimal=",", end="\r\n")
UNICODE_TEXT = table("Energy (eV)\tFeO\tFe2O3", E, A, B, sep="\t", end="\r\n")
QUOTED = table('Energy (eV),"Fe2O3, hematite","FeOOH, goethite, ""old"""', E, A, B, end="\r\n")
THOUSANDS = [f'"{e:,.1f}"' for e in E_SI]
NARROW = [f"{e:,.1f}".replace(",", "\u202f").replace(".", ",") for e in E_SI]
SEMI = {"sep": ";", "decimal": ",", "end": "\r\n"}

EXCEL = [
    Table(
        "Excel, German, 'CSV (Trennzeichen-getrennt)'",
        GERMAN.encode("cp1252"),
        Opens({"Goethit": A, "Hämatit": B}, E),
        "list separator ';' and decimal ',' of the German locale; this choice writes the ANSI code page",
        "refs.csv",
    ),
    Table(
        "Excel, French, CSV UTF-8",
        b"\xef\xbb\xbf" + FRENCH.encode(),
        Opens({"échantillon": A, "référence": B}, E),
        "'CSV UTF-8' begins with a byte order mark; 'Énergie' is the energy",
        "refs.csv",
    ),
    Table(
        "Excel, 'Unicode Text'",
        b"\xff\xfe" + UNICODE_TEXT.encode("utf-16-le"),
        Opens({"FeO": A, "Fe2O3": B}, E),
        "UTF-16 LE with mark, tabs",
    ),
    Table(
        "Excel, US, names with commas and quotes",
        QUOTED,
        Opens({"Fe2O3, hematite": A, 'FeOOH, goethite, "old"': B}, E),
        "RFC 4180: commas in quotes belong to the name, two quotes are one",
        "refs.csv",
    ),
    Table(
        "Excel, US, numbers shown with a thousands separator",
        table("Energy (eV),Si", THOUSANDS, A, end="\r\n"),
        Refused(("thousands",)),
        "Excel saves cells as displayed: '#,##0.0' gives \"1,840.0\", which reads as 1.84 keV elsewhere",
        "refs.csv",
    ),
    Table(
        "Excel, French, numbers shown with a thousands separator",
        table("Énergie (eV);Si", NARROW, A, **SEMI),
        Refused(("thousands",)),
        "the French separator of thousands is U+202F since Windows 10",
        "refs.csv",
    ),
    Table(
        "Excel, empty columns and rows at the end",
        table("Energie;A;B;;", E, A, B, EMPTY, EMPTY, **SEMI) + ";;;;\r\n;;;;\r\n",
        RIGHT,
        "cells once used are saved as empty fields",
        "refs.csv",
    ),
    Table(
        "Excel, title rows above the header",
        "Fe L3 references;;\r\nBeamline 5.3.2;;\r\n;;\r\n" + table("Energie;A;B", E, A, B, **SEMI),
        RIGHT,
        "a sheet often has a title above its table",
        "refs.csv",
    ),
    Table(
        "Excel, a unit row below the header",
        table("Energy;A;B\neV;OD;OD", E, A, B, **SEMI),
        RIGHT,
        "units in a row of their own, as Origin and OMNIC users lay out their sheets",
        "refs.csv",
    ),
    Table(
        "Excel, Japanese code page",
        table("番号,光子エネルギー (eV),A,B", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], E, A, B, end="\r\n").encode("shift-jis"),
        RIGHT,
        "the letters are lost, '(eV)' is not, and 1, 2, 3 counts the rows",
        "refs.csv",
    ),
    Table(
        "Excel, Swedish, the energy second",
        table("Nr;Fotonenergi (eV);A;B", [100.0, 105.0, 107.0, 110.0, 113.0, 120.0], E, A, B, **SEMI),
        RIGHT,
        "a name in eV is the energy in every language; numbers of rows may have gaps",
        "refs.csv",
    ),
    Table(
        "Excel, a hint on the separator",
        "sep=;\r\n" + table("Energie;A;B", E, A, B, **SEMI),
        RIGHT,
        "'sep=;' in the first line is for Excel itself",
        "refs.csv",
    ),
    Table(
        "Excel error values",
        table("Energy (eV),A,B", E, ["0.11", "#DIV/0!", "0.93", "0.52", "0.41", "0.3"], B),
        Refused(("'A'", "705 eV"), {"columns": "B"}, Opens({"B": B}, E)),
        "an error cell is no number; the other column is sound",
        "refs.csv",
    ),
    Table(
        "an Excel workbook",
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00" + b"[Content_Types].xml" + bytes(200),
        Refused(("csv",)),
        "a workbook is no text; saving as CSV is the cure, and no byte is missing",
        "refs.xlsx",
    ),
    Table(
        "German text with blanks and decimal commas",
        table("Energie A B", E, A, B, sep="   ", decimal=","),
        RIGHT,
        "a comma between digits of blank-separated columns is a decimal mark",
    ),
    Table(
        "integers between commas",
        "700,1,5\n705,1,6\n708,2,9\n710,2,4\n712,2,2\n720,1,8\n",
        Refused(
            ("decimal",),
            {"decimal": "."},
            Opens({"refs_1": [1.0, 1.0, 2.0, 2.0, 2.0, 1.0], "refs_2": [5.0, 6.0, 9.0, 4.0, 2.0, 8.0]}, E),
        ),
        "700,1 may be one number in half of Europe",
        "refs.csv",
    ),
]

PROGRAMS = [
    Table(
        "pandas to_csv with its index",
        table(",energy,A,B", INDEX, E, A, B),
        RIGHT,
        "the index has an empty name",
        "refs.csv",
    ),
    Table(
        "pandas to_csv, filtered rows: the index has gaps",
        table(",counts,energy,A", [100.0, 105.0, 108.0, 110.0, 112.0, 120.0], I0, E, A),
        Refused(("columns='A'",), {"columns": "A"}, Opens({"A": A}, E)),
        "counts beside an absorption: the user chooses, and neither index nor counts are what to choose",
        "refs.csv",
    ),
    Table(
        "numpy savetxt with header",
        table("# energy A B", E, A, B, sep=" ", form=".18e"),
        RIGHT,
        "savetxt writes '# ' before its header",
    ),
    Table(
        "numpy savetxt of rows instead of columns",
        lines(*zip(E, A, B, strict=True), sep=" ", form=".18e"),
        Refused(("row",)),
        "energies run along the first row: transposed, and must not be read as columns",
    ),
    Table(
        "R write.table",
        '"energy" "A" "B"\n' + r_rows(E, A, B),
        RIGHT,
        "R's header has one name less than its rows: the row names have none",
    ),
    Table(
        "R write.csv2",
        '"";"energy";"A";"B"\n' + r_rows(*[[f"{v}".replace(".", ",") for v in c] for c in (E, A, B)], sep=";"),
        RIGHT,
        "write.csv2 is ';' with ',' and row names in quotes",
        "refs.csv",
    ),
    Table("Matlab save -ascii", lines(E, A, sep="   ", form=".7e", before="   "), Opens({"table": A}, E), "no names"),
    Table(
        "Matlab writetable",
        table("Var1,Var2,Var3", E, A, B),
        Opens({"Var2": A, "Var3": B}, E),
        "default names of a table made from a matrix",
        "refs.csv",
    ),
    Table(
        "Origin, long name, units and comments",
        table("Energy\tAbsorbance\tAbsorbance\neV\ta.u.\ta.u.\nmono\tA\tB", E, A, B, sep="\t", end="\r\n"),
        RIGHT,
        "Origin exports its label rows in this order; the comment tells equal long names apart",
        "origin.dat",
    ),
    Table(
        "Origin, long name and units, comments empty",
        table("Energy\tA\tB\neV\t\t\n\t\t", E, A, B, sep="\t", end="\r\n"),
        RIGHT,
        "empty label rows are exported too",
        "origin.dat",
    ),
    Table(
        "Origin, an error column",
        table("Energy\tA\tyEr±\tB\neV\tOD\tOD\tOD", E, A, ERROR, B, sep="\t", end="\r\n"),
        RIGHT,
        "Origin names the column of errors yEr±",
        "origin.dat",
    ),
    Table(
        "Igor, general text",
        table("energy\tA\tB", E, A, B, sep="\t", end="\r"),
        RIGHT,
        "Igor on a Macintosh ends lines with CR",
    ),
    Table(
        "Igor text (.itx)",
        "IGOR\nWAVES/D\tenergy\tA\tB\nBEGIN\n"
        + lines(E, A, B, sep="\t", before="\t")
        + 'END\nX SetScale d 0,0,"eV", energy\n',
        RIGHT,
        "Igor Pro manual, 'Igor text files': names after WAVES, commands after X",
        "refs.itx",
    ),
    Table(
        "PyMca, ASCII as csv",
        table('"Energy";"A";"B"', E, A, B, sep=";", form=".7E"),
        RIGHT,
        "PyMca's plot window saves quoted legends and ';'",
        "refs.csv",
    ),
    Table(
        "columns aligned with blanks, names of two words",
        table("Photon energy    Sample A    Sample B", E, A, B, sep="        "),
        Opens({"Sample A": A, "Sample B": B}, E),
        "two blanks and more separate the names, as the rows show: three columns",
    ),
    Table(
        "Fortran exponents",
        table("energy A", *[[f"{v:.6E}".replace("E", "D") for v in c] for c in (E, A)], sep="  "),
        Opens({"table": A}, E),
        "double precision of Fortran is written with D",
    ),
    Table(
        "LaTeX or Markdown bars",
        table("| energy | A |\n|---|---|", E, A, sep=" | ", before="| ").replace("\n", " |\n"),
        Opens({"table": A}, E),
        "a table of a README: bars separate",
    ),
]
