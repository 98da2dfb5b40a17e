"""Exercises on components."""

from .answers import Number
from .exercise import Exercise

_PERCENT = "That is a percentage. Divide by 100."

EXERCISES: dict[str, Exercise] = {
    "02.1": Exercise(
        "Fit without scaling (scale=None). What is the smallest cosine with a true pattern?",
        Number(
            0.95,
            0.985,
            "the smallest cosine",
            {
                (0.9851, 1.0): "That is the mean, or one of the better components. Take the smallest value.",
                (1.5, 10.0): "That is the number of a component. Take its cosine.",
            },
        ),
        "The background is found worst, with and without scaling: it is what no grain explains. At this dose the scale "
        "hardly matters. It does where a few spots hold most of the counts.",
        wrong=0.995,
    ),
    "02.2": Exercise(
        "Fit with two components more than chosen. How many crystals does group_crystals find?",
        Number(
            # A number of crystals is whole: a range of one value.
            6,
            6,
            "the number of crystals",
            {
                (7, 8): "That is the number that was chosen, or one more. Read attrs['n_crystals'] of the new groups.",
                (9, 9): "That is the number of patterns. A crystal may need several: read attrs['n_crystals'].",
            },
        ),
        "Six, as before. The two further components divide the background; the number of crystals does not follow k.",
        wrong=9,
    ),
    "02.3": Exercise(
        "Which k does the rule 'published' choose?",
        Number(
            6,
            6,
            "k",
            {
                (7, 7): "That is the choice of the combined rule. Give choose_rank the argument rule='published'.",
                (2, 5): "That is an end of the window. The rule takes the knee.",
                (8, 12): "That is an end of the window. The rule takes the knee.",
            },
        ),
        "One fewer than six grains and the background. The window that the article gives with it, 2 to 10, holds 7.",
        wrong=7,
    ),
    "02.4": Exercise(
        "Lower the overlap threshold to 0.5. Which share of the scan points overlaps?",
        Number(
            0.05,
            0.08,
            "a share (0 to 1)",
            {
                (0.02, 0.03): "That is the share at 0.75. Lower the threshold.",
                (0.09, 0.13): "The background was counted as a partner. Give background=chosen.",
                (5.0, 8.0): _PERCENT,
            },
        ),
        "More than twice as many points as at 0.75: a boundary has a width, and the threshold says how much of it "
        "counts.",
        wrong=0.109,
    ),
}
