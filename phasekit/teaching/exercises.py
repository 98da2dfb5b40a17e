"""All exercises, by the number of the notebook and of the exercise in it."""

from . import exercises_any_data, exercises_diffraction, exercises_nmf, exercises_stxm
from .exercise import Exercise

_PARTS = (exercises_stxm, exercises_nmf, exercises_diffraction, exercises_any_data)

EXERCISES: dict[str, Exercise] = dict(sorted(pair for part in _PARTS for pair in part.EXERCISES.items()))
