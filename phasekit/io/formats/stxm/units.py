"""Units as files write them."""

from collections.abc import Mapping


def find_unit_factor(unit: str | None, table: Mapping[str, float]) -> float | None:
    """Factor of a unit in a table of lower-case units; None when there is no unit, NaN when it is unknown.

    Examples
    --------
    >>> find_unit_factor("[KHz]", {"khz": 1e3}), find_unit_factor(" ", {}), find_unit_factor("parsec", {})
    (1000.0, None, nan)
    """
    # Units come with the micro sign, the Greek letter, or in brackets.
    plain = (unit or "").strip().lower().replace("µ", "u").replace("μ", "u").strip("[]()")
    return table.get(plain, float("nan")) if plain else None
