"""Exercises of the start page and of the phase map."""

from .answers import Choice, Number
from .exercise import Exercise

_PERCENT = "That is a percentage. Divide by 100."

EXERCISES: dict[str, Exercise] = {
    "00.1": Exercise(
        "At which photon energy [eV] does the STXM sample absorb most?",
        Number(
            524.1,
            524.3,
            "the energy [eV]",
            {
                (0, 12): "That is the number of the frame. Take its photon energy from stack['energy'].",
                (508.9, 515.1): "There the frames are brightest: few X-rays are absorbed. Look for the smallest mean.",
                (527.9, 528.1): "That is the last frame, but not the darkest one.",
            },
        ),
        "It lies on the vanadium L2 edge. Below the edges, at 509 eV, all phases absorb nearly alike.",
        wrong=10,
    ),
    "01.1": Exercise(
        "The reference Na2 is left out. Which reference takes most of its pixels?",
        Choice(
            "Na2.4",
            "the name of a reference",
            # A name without a hint is refused as one that cannot be meant, so all references stand here.
            {
                "Na2": "This reference was left out. Take the names from the new map, not from the old one.",
                "Na3": "Its spectrum differs more from that of Na2. Count the pixels of the old phase in the new map.",
                "Na1": "Its spectrum differs more from that of Na2. Count the pixels of the old phase in the new map.",
                "Na0.5": "Its spectrum differs most from that of Na2. Is the number of a reference one too high?",
            },
        ),
        "Of the references that are left, Na2.4 has the spectrum nearest to that of Na2. Two thirds of these pixels "
        "get the status 'no reference': only the status tells that a reference is missing.",
        wrong="Na1",
    ),
    "01.2": Exercise(
        "With every second energy, how much accuracy does 'NNLS arg-max' lose?",
        Number(
            0.06,
            0.13,
            "the loss of accuracy (0 to 1)",
            {
                (
                    -1.0,
                    -0.001,
                ): "The sign is that of a gain. Subtract the accuracy with few energies from that with all.",
                (0.3, 1.0): "That is an accuracy itself. Subtract the one with few energies from the one with all.",
                (1.5, 40.0): _PERCENT,
            },
        ),
        "Five spectra that are nearly alike are told apart by few energies; without them the amounts trade places.",
        wrong=-0.1,
    ),
    "01.3": Exercise(
        "The energy offset is set to 0 instead of 0.2 eV. Which share of the pixels with a phase changes its phase?",
        Number(
            0.18,
            0.32,
            "a share (0 to 1)",
            {
                (0.0, 0.179): "That is too few. Count only pixels that have a phase, not the background.",
                # 1 less the right range.
                (0.68, 0.82): "That is the share that keeps its phase.",
                (1.0001, 100.0): _PERCENT,
                (100.0, 1e6): "That is a number of pixels. Divide by the number of pixels that have a phase.",
            },
        ),
        "A shift of 0.2 eV changes a spectrum as much as the next state of charge does. The share of pixels with "
        "status ok falls by half, which is the only warning: the mean confidence stays above 0.8.",
        wrong=2500,
    ),
    "01.4": Exercise(
        "With neighbours=0.0: which share of the pixels with a phase is then right?",
        Number(
            0.78,
            0.85,
            "a share (0 to 1)",
            {
                (0.0, 0.5): "That is the share that is wrong, or the background was counted. Compare where truth >= 0.",
                (0.87, 0.92): "That is the map with its neighbours. Label once more with neighbours=0.0.",
                (1.0001, 100.0): _PERCENT,
            },
        ),
        "The difference to the map above is what the neighbours contribute: they decide where the spectrum alone "
        "does not.",
        wrong=0.896,
    ),
}
