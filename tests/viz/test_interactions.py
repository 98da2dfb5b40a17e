"""The page about the explorers, the table of interactions and the tests in the browser say the same."""

import re

import pytest
from PIL import Image

from tests.browser.interactions import INTERACTIONS, PAGE, insert_table, list_tests
from tests.browser.screenshots import IMAGES, MOST_BYTES, NAMES


@pytest.mark.parametrize("row", INTERACTIONS, ids=lambda row: row.test.split("::")[1])
def test_the_test_of_an_interaction_exists(row):
    file, name = row.test.split("::")
    assert name in list_tests(file)


def test_every_workflow_has_its_interactions():
    workflows = [row.workflow for row in INTERACTIONS]
    assert {"STXM", "NMF", "ACOM", "all"} == set(workflows)


def test_the_pictures_of_the_page_are_screenshots_and_small():
    shown = set(re.findall(r"images/(explorer_\w+\.png)", PAGE.read_text(encoding="utf-8")))
    assert shown <= set(NAMES), "make screenshots writes others"
    assert len({name.split("_")[1] for name in shown}) == 3
    for name in shown:
        assert (IMAGES / name).stat().st_size < MOST_BYTES
        with Image.open(IMAGES / name) as picture:
            assert 600 <= picture.width <= 1200
            assert picture.width >= 800


def test_the_page_shows_the_table():
    page = PAGE.read_text(encoding="utf-8")
    assert page == insert_table(page), "run: python -m tests.browser.interactions"
