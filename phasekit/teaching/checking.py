"""The check of an answer, and what it says."""

import html
from typing import Any, NamedTuple

from phasekit.errors import SchemaError

from .exercises import EXERCISES


class Feedback(NamedTuple):
    """What a check found.

    Attributes
    ----------
    right
        Whether the answer is right; ``None`` when there is no answer yet.
    text
        Why it is right, or what is probably wrong with it.
    """

    exercise: str
    right: bool | None
    text: str

    def __bool__(self) -> bool:
        return self.right is True

    def __str__(self) -> str:
        word = {True: "right", False: "not right yet", None: "no answer yet"}[self.right]
        return f"Exercise {self.exercise}: {word}. {self.text}"

    def _repr_html_(self) -> str:
        # A mark and a word, not a colour alone.
        mark = {True: "&#10003;", False: "&#10007;", None: "&#8230;"}[self.right]
        return f'<p class="pk-feedback">{mark} {html.escape(str(self))}</p>'


def check(exercise: str, answer: Any) -> Feedback:
    """Check the answer to an exercise, and say in plain words what is wrong with it.

    Parameters
    ----------
    exercise
        Number of the notebook and of the exercise: ``"01.2"``.
    answer
        One number or one name, as the exercise asks for. ``...`` is no answer yet.

    Returns
    -------
    Feedback
        True when the answer is right. A notebook shows its text.

    Raises
    ------
    SchemaError
        There is no such exercise.

    See Also
    --------
    list_exercises : All exercises and their questions.

    Examples
    --------
    >>> print(check("06.3", ...))
    Exercise 06.3: no answer yet. Replace the three dots by your answer and run the cell again.
    >>> bool(check("06.3", 1.0)), bool(check("06.3", 0.7))
    (True, False)
    """
    asked = EXERCISES.get(str(exercise))
    if asked is None:
        raise SchemaError(f"check: there is no exercise {exercise!r}, needs one of {', '.join(EXERCISES)}.")
    if answer is ...:
        return Feedback(exercise, None, "Replace the three dots by your answer and run the cell again.")
    fault = asked.answer.find_fault(answer)
    return Feedback(exercise, fault is None, asked.reason if fault is None else fault)


def list_exercises() -> dict[str, str]:
    """Questions of all exercises, by number.

    See Also
    --------
    check : Checks an answer.

    Examples
    --------
    >>> list(list_exercises())[:2]
    ['00.1', '01.1']
    """
    return {number: exercise.question for number, exercise in EXERCISES.items()}
