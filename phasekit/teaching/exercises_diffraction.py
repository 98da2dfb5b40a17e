"""Exercises on orientations and virtual images."""

from .answers import Number
from .exercise import Exercise

_PERCENT = "That is a percentage. Divide by 100."

EXERCISES: dict[str, Exercise] = {
    "03.1": Exercise(
        "With templates 4 degrees apart: by how much does refinement lower the median disorientation [degree]?",
        Number(
            0.8,
            2.0,
            "the difference [degree]",
            {
                (-2.0, -0.8): "The sign is turned. Subtract the median after refinement from that before.",
                (0.1, 0.5): "That is the median after refinement. Subtract it from that before.",
                (20.0, 90.0): "That counts half turns as errors. Select counting='folded'.",
            },
        ),
        "Before refinement the error follows the step of the bank; after it, the error follows the noise of the peaks.",
        wrong=0.25,
    ),
    "03.2": Exercise(
        "LiFePO4 is left out. Which share of its interior pixels still passes the reliability threshold?",
        Number(
            0.02,
            0.10,
            "a share (0 to 1)",
            {
                (0.7, 0.9): "That is the map that was matched with both phases. Use the one matched with nickel alone.",
                (
                    0.9001,
                    1.0,
                ): "That is the share that has some orientation. Compare the reliability with the threshold.",
                (2.0, 10.0): _PERCENT,
                (11.0, 1e6): "That is a number of pixels. Take the mean of the condition where LiFePO4 is.",
            },
        ),
        "With the right phase 81 % pass. Without it nickel fits in many orientations equally badly, so the reliability "
        "is low, and four of five of these pixels get the status 'poor fit'. All of them have an orientation all the "
        "same: never read a map without its reliability.",
        wrong=0.81,
    ),
    "03.3": Exercise(
        "Which share of the peaks does the fixed threshold (mode='published') lose?",
        Number(
            0.35,
            0.75,
            "a share (0 to 1)",
            {
                (0.76, 0.99): "That may be the share that is kept of the strong ones. Use the sums of 'count'.",
                # 1 / (1 - share) is 1.5 to 4 for a right share.
                (1.0001, 4.0): "That is a ratio of the two numbers. Give 1 - new / old.",
                (5.0, 100.0): _PERCENT,
            },
        ),
        "A threshold that is fixed has to be high enough for the noisiest pattern, so weak spots are lost everywhere.",
        wrong=2.2,
    ),
    "03.4": Exercise(
        "With two components fewer: which share of the points keeps the phase of the direct map?",
        Number(
            0.80,
            0.96,
            "a share (0 to 1)",
            {
                (0.961, 1.0): "That is the share with the chosen k. Factorise with k - 2.",
                (1.0001, 100.0): _PERCENT,
            },
        ),
        "Grains that share a component get one answer, so the weaker of the two loses its phase.",
        wrong=0.973,
    ),
    "06.1": Exercise(
        "At which radius outside the bright-field disk is variance over mean largest [1/angstrom]?",
        Number(
            0.57,
            0.63,
            "the radius [1/angstrom]",
            {
                (0.0, 0.08): "That is inside the bright-field disk. Leave these radii out.",
                (
                    1.0,
                    100.0,
                ): "That is a value of variance over mean, or an index. Give the radius where it is largest.",
            },
        ),
        "There the spots of a few grains lie on one ring, while others have none: the variance over the scan is large.",
        wrong=0.03,
    ),
    "06.2": Exercise(
        "With a disk three times as wide: by which factor does the contrast (standard deviation over mean) change?",
        Number(
            1.3,
            1.6,
            "a factor",
            {
                (0.6, 0.8): "That is old over new. Divide the new contrast by the old one.",
                (0.09, 0.16): "That is a contrast itself. Divide the new one by the old one.",
            },
        ),
        "It rises. The narrow disk sees the direct beam alone, which all grains weaken nearly alike. The wide one also "
        "collects the first spots of some grains and not of others.",
        wrong=0.7,
    ),
    "06.3": Exercise(
        "Three rings share their radii and reach over the whole detector. What is their sum over that of the patterns?",
        Number(
            # Both sums hold the same counts, so that only rounding makes them differ.
            0.999999,
            1.000001,
            "a ratio",
            {
                (
                    0.0,
                    0.9999,
                ): "Something is left out. Bad pixels are in neither sum: apply the mask to the patterns, and "
                "let the last ring reach to the corners of the detector.",
                (1.0001, 2.0): "The rings overlap. Let each begin where the one before ends.",
            },
        ),
        "Every pixel belongs to exactly one ring, so that nothing is counted twice and nothing is lost.",
        wrong=0.95,
    ),
}
