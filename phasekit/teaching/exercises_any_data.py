"""Exercises on files of one's own, and on comparing results."""

from .answers import Number
from .exercise import Exercise

EXERCISES: dict[str, Exercise] = {
    "04.1": Exercise(
        "The (111) planes of nickel, d = 2.034 angstrom, give a ring of radius 19.66 px. What is the pixel size?",
        Number(
            # The range is 0.2 % to each side: the rounding of d and of the radius gives 0.05 %.
            0.02495,
            0.02505,
            "the pixel size [1/angstrom per px]",
            {
                (0.10, 0.11): "That is d divided by the radius. A ring lies at 1/d.",
                (39.0, 41.0): "That is pixels per 1/angstrom. Take the inverse.",
                (0.15, 0.16): "That holds a factor of 2 pi. Here |g| is 1/d.",
                (0.01, 0.0126): "That is for the diameter of the ring. Use its radius.",
            },
        ),
        "The ring lies at |g| = 1/d = 0.4916 1/angstrom. Give this pixel size to pk.acom.calibrate.",
        wrong=0.1035,
    ),
    "05.1": Exercise(
        "By how much does the mean sodium content fall from 'stxm_discharged' to 'stxm_charged'?",
        Number(
            1.0,
            1.5,
            "a difference of x",
            {
                (-1.5, -1.0): "The sign is turned: it falls, so give a positive number.",
                (2.0, 3.0): "That is the sodium content of the discharged sample. Subtract that of the charged one.",
                (0.5, 0.8): "That is the difference to the sample in between.",
            },
        ),
        "Charging takes sodium out of the particles: the mean composition follows the phase fractions.",
        wrong=2.53,
    ),
}
