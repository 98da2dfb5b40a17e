"""One exercise: its question, the right answer with its reason, and a typical wrong answer."""

from dataclasses import dataclass
from typing import Any

from .answers import Choice, Number


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    The range of a number holds the answer that the hidden solution computes on the sample. The tests run the solution
    and the wrong answer.
    """

    question: str
    answer: Number | Choice
    reason: str  # said with a right answer
    wrong: Any  # a typical wrong answer, for which the answer has a hint
