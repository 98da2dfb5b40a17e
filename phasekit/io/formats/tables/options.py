"""What a caller may say about a text table, and how messages name it."""

from typing import NamedTuple


class TableOptions(NamedTuple):
    """Arguments of ``open_references`` and ``open_i0`` that concern a text table; None where not given."""

    columns: tuple[str | int, ...] | None = None
    energy_column: str | int | None = None
    scan: str | None = None
    energy_unit: str | None = None
    decimal: str | None = None
    accept: tuple[str, ...] = ()
    purpose: str = "references"  # or "i0", or "energies" for the energies beside a stack


def advise(options: TableOptions, cure: str) -> str:
    """Cure of an error: the arguments of a table, or the one that ``open_stxm`` has instead of them."""
    return "give energies=[...] in eV, one per page" if options.purpose == "energies" else cure
