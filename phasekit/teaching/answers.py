"""Kinds of answers: a number in a range, or a name. Each says in words what is wrong with another answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Number:
    """An answer that is one number.

    Parameters
    ----------
    low, high
        Smallest and largest right answer.
    what
        What is asked for, with its unit, for the messages: "the energy [eV]".
    hints
        (smallest, largest) wrong answer -> what is probably wrong with it.

    Examples
    --------
    >>> share = Number(0.2, 0.4, "a share (0 to 1)", {(20, 40): "That is in percent."})
    >>> share.find_fault(0.3) is None, share.find_fault(30)
    (True, 'That is in percent.')
    >>> share.find_fault(np.ones(3))
    'It has 3 values, and a share (0 to 1) is one number.'
    """

    low: float
    high: float
    what: str
    hints: Mapping[tuple[float, float], str] = field(default_factory=dict)

    def find_fault(self, answer: Any) -> str | None:
        """Say in a sentence what is wrong with an answer; ``None`` when it is right."""
        try:
            values = np.asarray(answer, dtype=float)
        except (TypeError, ValueError):
            return f"It is a {type(answer).__name__}, and {self.what} is one number."
        if values.size != 1:
            return f"It has {values.size} values, and {self.what} is one number."
        value = float(values.ravel()[0])
        if not np.isfinite(value):
            return f"It is {value}. Look for pixels without a value, and leave them out."
        if self.low <= value <= self.high:
            return None
        for (low, high), hint in self.hints.items():
            if low <= value <= high:
                return hint
        return f"{value:.4g} is {'below' if value < self.low else 'above'} the range that is right for {self.what}."


@dataclass(frozen=True)
class Choice:
    """An answer that is one of several names.

    Parameters
    ----------
    right
        The right name.
    what
        What is asked for, for the messages: "the name of a phase".
    hints
        Wrong name -> what is probably wrong with it. All names that may be given are here or in ``right``.

    Examples
    --------
    >>> phase = Choice("Na2.4", "the name of a phase", {"Na1": "Its spectrum differs more."})
    >>> phase.find_fault("na2.4 ") is None, phase.find_fault("Na1")
    (True, 'Its spectrum differs more.')
    >>> phase.find_fault("Na7")
    "'Na7' is not the name of a phase that can be meant here: Na1, Na2.4."
    """

    right: str
    what: str
    hints: Mapping[str, str]

    def find_fault(self, answer: Any) -> str | None:
        """Say in a sentence what is wrong with an answer; ``None`` when it is right."""
        given = answer.item() if hasattr(answer, "item") and getattr(answer, "size", 1) == 1 else answer
        if not isinstance(given, str):
            return f"It is a {type(given).__name__}, and {self.what} is a text, in quotation marks."
        names = {name.casefold(): name for name in (*self.hints, self.right)}
        name = names.get(given.strip().casefold())
        if name is None:
            return f"'{given}' is not {self.what} that can be meant here: {', '.join(sorted(names.values()))}."
        return None if name == self.right else self.hints[name]
