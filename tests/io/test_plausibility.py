"""Rules of plausibility: what is refused, what the message says, how it is accepted."""

from pathlib import Path

import numpy as np
import pytest

from phasekit.errors import ReadError, SchemaError
from phasekit.io.plausibility.rule import Rule, check_accept, check_plausible

STEP = Rule(
    "step_nm",
    "a step",
    0.5,
    20_000.0,
    "nm",
    "no zone plate is finer",
    "positions in mm without a unit",
    "give step_nm=<step in nm>",
)


def test_a_value_outside_is_refused_with_cause_and_cure():
    with pytest.raises(ReadError, match=r"a step of 0\.067 nm.*positions in mm.*step_nm=.*accept='step_nm'"):
        check_plausible(Path("x.hdf5"), STEP, [40.0, 0.067])


def test_values_inside_at_the_limits_and_nan_pass():
    check_plausible(Path("x.hdf5"), STEP, [0.5, 20_000.0, np.nan])


def test_an_accepted_value_passes():
    check_plausible(Path("x.hdf5"), STEP, 0.067, accept=("step_nm",))


def test_accept_takes_a_word_or_several_and_refuses_others():
    assert check_accept("open_stxm", "step_nm", [STEP]) == ("step_nm",)
    assert check_accept("open_stxm", ["step_nm"], [STEP]) == ("step_nm",)
    with pytest.raises(SchemaError, match="step_nm"):
        check_accept("open_stxm", "size", [STEP])
