"""A check says what is wrong with an answer, in words, whatever the answer is."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.teaching import Choice, Number, check
from phasekit.teaching.exercises import EXERCISES


@pytest.mark.parametrize("number", EXERCISES)
def test_a_typical_wrong_answer_is_told_what_is_wrong(number):
    feedback = check(number, EXERCISES[number].wrong)
    assert feedback.right is False
    assert not feedback
    # A hint of its own, not the sentence about the range.
    assert "range that is right" not in feedback.text
    assert len(feedback.text.split()) >= 4


@pytest.mark.parametrize("number", EXERCISES)
def test_no_hint_claims_a_right_answer(number):
    answer = EXERCISES[number].answer
    if isinstance(answer, Choice):
        assert answer.right not in answer.hints
        return
    for low, high in answer.hints:
        assert high < answer.low or low > answer.high or (low, high) == (answer.high, high), (low, high)


@pytest.mark.parametrize("number", EXERCISES)
def test_a_right_answer_is_told_why(number):
    answer = EXERCISES[number].answer
    right = answer.right if isinstance(answer, Choice) else (answer.low + answer.high) / 2
    feedback = check(number, right)
    assert feedback
    assert feedback.text == EXERCISES[number].reason
    assert "right" in str(feedback)
    assert "not right" not in str(feedback)


@pytest.mark.parametrize("number", EXERCISES)
@pytest.mark.parametrize(
    "answer",
    [None, "a word", [1, 2, 3], np.nan, np.inf, {}, xr.DataArray([1.0, 2.0]), xr.Dataset(), object(), -1e9, b"x"],
)
def test_any_answer_gets_a_sentence_and_no_traceback(number, answer):
    feedback = check(number, answer)
    assert feedback.right is False
    assert feedback.text[0].isupper() or feedback.text[0] in "'-" or feedback.text[0].isdigit()
    assert feedback.text.rstrip().endswith(".")


def test_three_dots_are_no_answer_yet():
    assert check("01.1", ...).right is None
    assert "three dots" in str(check("01.1", ...))


@pytest.mark.parametrize("kind", [float, np.float32, np.array, xr.DataArray, lambda value: xr.DataArray(value).chunk()])
def test_numbers_of_every_kind_are_read(kind):
    assert check("06.3", kind(1.0))


@pytest.mark.parametrize("kind", [str, np.str_, np.array, xr.DataArray, lambda name: f" {name.upper()} "])
def test_names_of_every_kind_are_read(kind):
    assert check("01.1", kind("Na2.4"))


def test_an_unknown_exercise_is_refused_with_the_known_ones():
    with pytest.raises(SchemaError, match=r"01\.1"):
        check("01.9", 1)


def test_feedback_is_a_sentence_on_the_page_and_escapes_what_was_given():
    page = check("01.1", "<b>Na9</b>")._repr_html_()
    assert "<b>" not in page
    assert "&#10007;" in page
    assert "&#10003;" in check("06.3", 1.0)._repr_html_()


def test_every_question_is_listed():
    assert list(pk.teaching.list_exercises()) == sorted(EXERCISES)
    assert all(question.endswith("?") for question in pk.teaching.list_exercises().values())


def test_a_number_out_of_every_range_is_told_the_side():
    number = Number(1, 2, "a thing")
    assert "above" in number.find_fault(3)
    assert "below" in number.find_fault(0)
