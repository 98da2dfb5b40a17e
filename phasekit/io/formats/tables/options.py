"""What a caller may say about a text table, checked before a file is read, and how messages name it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ....errors import SchemaError
from ...plausibility.rule import check_accept
from ...plausibility.spectra import RULES


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


def make_options(
    function: str,
    columns: Sequence[str | int] | str | int | None,
    energy_column: str | int | None,
    scan: str | int | None,
    energy_unit: str | None,
    decimal: str | None,
    *,
    accept: str | Iterable[str] = (),
    purpose: str = "references",
) -> TableOptions:
    """Options of a table from the arguments of ``function``.

    Raises
    ------
    SchemaError
        An argument is not what the function describes.
    """
    wanted = (columns,) if isinstance(columns, str | int) else None if columns is None else tuple(columns)
    if wanted is not None and (not wanted or len(set(wanted)) < len(wanted) or not all(map(_is_column, wanted))):
        raise SchemaError(f"{function}: columns={columns!r}, needs names or places from 0, each once.")
    if energy_column is not None and not _is_column(energy_column):
        raise SchemaError(f"{function}: energy_column={energy_column!r}, needs a name or a place from 0.")
    if scan is not None and not str(scan).replace(".", "", 1).isdigit():
        raise SchemaError(f"{function}: scan={scan!r}, needs the number of a scan, such as 2 or '2.1'.")
    if energy_unit is not None and str(energy_unit).lower() not in ("ev", "kev"):
        raise SchemaError(f"{function}: energy_unit={energy_unit!r}, needs 'eV' or 'keV'.")
    if decimal not in (None, ".", ","):
        raise SchemaError(f"{function}: decimal={decimal!r}, needs '.' or ','.")
    accepted = check_accept(function, accept, RULES)
    return TableOptions(
        wanted, energy_column, None if scan is None else str(scan), energy_unit, decimal, accepted, purpose
    )


def list_choices(options: TableOptions) -> dict[str, Any]:
    """Choices that were made, for the provenance."""
    chosen = {k: v for k, v in options._asdict().items() if k != "purpose" and v not in (None, ())}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in chosen.items()}


def _is_column(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
