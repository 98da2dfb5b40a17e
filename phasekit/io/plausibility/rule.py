"""A rule of plausibility, and the refusal of a value outside it."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ReadError, SchemaError


class Rule(NamedTuple):
    """Range of a quantity that is believed without being confirmed."""

    name: str  # the word that ``accept`` takes
    quantity: str  # as the message calls it
    low: float
    high: float
    unit: str
    reason: str  # why a value outside is not believed; a clause
    cause: str  # what is most likely wrong; a clause
    cure: str  # the argument that gives the right value; an imperative


def check_plausible(path: Path, rule: Rule, values: ArrayLike, accept: Collection[str] = ()) -> None:
    """Refuse a file whose values [``rule.unit``] lie outside a rule that ``accept`` does not name.

    NaN says nothing and passes.

    Raises
    ------
    ReadError
        A value lies outside. The message holds the likely cause, the cure, and ``accept``, which lets it pass.
    """
    numbers = np.asarray(values, dtype=np.float64).ravel()
    outside = numbers[(numbers < rule.low) | (numbers > rule.high)]
    if outside.size == 0 or rule.name in accept:
        return
    found = (
        f"{rule.quantity} of {outside[0]:.4g} {rule.unit}, outside {rule.low:g} to {rule.high:g} {rule.unit}: "
        f"{rule.reason}. Probably {rule.cause}"
    )
    raise ReadError(path, found=found, cure=f"{rule.cure}, or say accept={rule.name!r} if it is right")


def check_accept(function: str, accept: str | Iterable[str], rules: Iterable[Rule]) -> tuple[str, ...]:
    """Names in ``accept`` as a tuple.

    Raises
    ------
    SchemaError
        A name is no rule; the message lists them.
    """
    names = (accept,) if isinstance(accept, str) else tuple(accept)
    known = [rule.name for rule in rules]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SchemaError(f"{function}: accept={unknown[0]!r} is no rule. Give one of {', '.join(known)}.")
    return names
