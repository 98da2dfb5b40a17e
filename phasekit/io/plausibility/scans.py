"""Rules of plausibility for 4D-STEM scans: step, scattering vector, direct beam, voltage, camera length, counts."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from numpy.typing import ArrayLike

from .rule import Rule, check_plausible

#: One rule for each quantity that a 4D-STEM file states; the names are the words of ``accept``.
SCAN_RULES = (
    Rule(
        "step_nm",
        "a scan step",
        0.001,
        20_000.0,
        "nm",
        "a focused probe is not moved by less than a picometre, nor by more than the field of view of STEM",
        "a step in another unit than the file says, e.g. metres written as nm",
        "give step_nm=<step in nm>",
    ),
    Rule(
        "q_step",
        "a detector pixel",
        1e-5,
        0.5,
        "1/angstrom",
        "reflections of crystals lie between 0.05 and 3 1/angstrom, and patterns have 16 to 4096 pixels across",
        "a pixel size in another unit than the file says, e.g. 1/m or mrad written as 1/nm",
        "give q_step=<1/angstrom per pixel>",
    ),
    Rule(
        "direct_beam",
        "a direct beam",
        0.0,
        1.0,
        "detector widths from its first pixel",
        "a scan of diffraction patterns holds the direct beam",
        "an origin in pixels written where the unit is 1/angstrom, or the default of an image",
        "give direct_beam_px=(<row>, <column>)",
    ),
    Rule(
        "voltage",
        "an accelerating voltage",
        5.0,
        1500.0,
        "kV",
        "electron microscopes work between 5 and 1500 kV",
        "a voltage in V, kV or MV that the file or its writer took for another of these",
        "give voltage_kv=<voltage in kV>",
    ),
    Rule(
        "camera_length",
        "a camera length",
        1.0,
        100_000.0,
        "mm",
        "the camera lengths of microscopes lie between 10 mm and some ten metres",
        "a camera length in another unit, or 0 for unknown",
        "give q_step=<1/angstrom per pixel>",
    ),
    Rule(
        "counts",
        "a pixel",
        -1000.0,
        math.inf,
        "counts",
        "noise around zero is a few counts",
        "counts without sign that were saved with a sign, so that bright pixels became negative",
        "save the patterns as unsigned integers, e.g. data.view('uint16')",
    ),
)


def check_scan(path: Path, stated: Mapping[str, ArrayLike], accept: Collection[str] = ()) -> None:
    """Refuse what a file states about a scan where it is not plausible.

    Parameters
    ----------
    path
        The file, for the message.
    stated
        Values by name of the rule, in the unit of the rule; what the file does not state is left out.
    accept
        Names of rules that are not applied.

    Raises
    ------
    ReadError
        A value lies outside its range; the message holds the reason, the likely cause and the cure.
    """
    for rule in SCAN_RULES:
        if rule.name in stated:
            check_plausible(path, rule, stated[rule.name], accept)
