"""Table of what can be done in the explorers, what it shows, and the test that does it.

``python -m tests.browser.interactions`` writes the table into docs/howto/explorers.md. A test holds page, table and
tests together: a row names a test that exists, and the page is the one that is written here.
"""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/howto/explorers.md"
BEGIN, END = "<!-- interactions: begin -->", "<!-- interactions: end -->"


class Interaction(NamedTuple):
    """One row: ``test`` is ``file::function`` below ``tests/browser``."""

    workflow: str
    gesture: str
    shows: str
    test: str


_STXM, _NMF, _ACOM, _ALL = "STXM", "NMF", "ACOM", "all"
_ORIENTATIONS = "test_acom_explorer.py"
_EXPLORERS, _EVERY, _LAB = "test_explorers.py", "test_every_explorer.py", "test_notebooks_in_lab.py"

INTERACTIONS = (
    Interaction(
        _STXM,
        "move the mouse over the map",
        "spectrum of the pixel with its noise band, the best two references, the residual",
        f"{_EXPLORERS}::test_the_cursor_shows_the_spectrum_under_the_mouse",
    ),
    Interaction(
        _STXM,
        "arrow keys on the map; with Shift 10 pixels; Enter",
        "the same, pixel by pixel; Enter pins the pixel beside the next ones",
        f"{_EXPLORERS}::test_arrow_keys_move_the_cursor_pixel_by_pixel",
    ),
    Interaction(_STXM, "hold an arrow key", "every step, none lost", f"{_EXPLORERS}::test_fast_keys_lose_no_step"),
    Interaction(
        _STXM,
        "drag a box on the map",
        "mean spectrum of the region with its error, its number of pixels and its label",
        f"{_EXPLORERS}::test_a_drawn_box_gives_the_mean_spectrum",
    ),
    Interaction(
        _STXM,
        "slider of the margin",
        "pixels that `flag_ambiguous` flags turn grey; their share",
        f"{_EXPLORERS}::test_the_slider_greys_what_the_library_flags",
    ),
    Interaction(
        _NMF,
        "slider over k; choice of the map; click in the gallery; mouse over the map",
        "components, overlap or weight of that k; pattern and loadings of the pixel",
        f"{_EXPLORERS}::test_the_slider_over_k_and_the_gallery",
    ),
    Interaction(
        _ACOM,
        "drag an aperture on the pattern; mouse over the map",
        "the virtual dark field of the aperture; the pattern under the cursor with peaks and template",
        f"{_EXPLORERS}::test_an_aperture_drawn_on_the_pattern_makes_a_virtual_image",
    ),
    Interaction(
        _ACOM,
        "drag a box in the pole figure",
        "pixels whose pole lies in the box, on the map",
        f"{_ORIENTATIONS}::test_a_box_in_the_pole_figure_marks_its_pixels_on_the_map",
    ),
    Interaction(
        _ACOM,
        "drag a box on the map",
        "poles of its pixels, in the pole figure",
        f"{_ORIENTATIONS}::test_a_box_on_the_map_marks_its_poles",
    ),
    Interaction(
        _ACOM,
        "move the cursor on the map",
        "the unit cell at the orientation of the pixel",
        f"{_ORIENTATIONS}::test_the_unit_cell_turns_with_the_cursor",
    ),
    Interaction(
        _ACOM,
        "sliders of the peak search",
        "peaks of the pattern at once; then the number of peaks over a preview of the scan",
        f"{_ORIENTATIONS}::test_the_preview_follows_the_newest_setting_and_lets_the_cursor_move",
    ),
    Interaction(
        _ALL,
        "zoom into a map",
        "a scale bar of a round length at every zoom",
        f"{_ORIENTATIONS}::test_the_scale_bar_is_right_at_every_zoom",
    ),
    Interaction(
        _ALL,
        "Tab through the page; arrow keys on the map",
        "every control, button and map gets the focus, with a ring; the cursor moves by one pixel",
        f"{_EVERY}::test_every_control_is_reached_by_tab_and_its_ring_is_seen",
    ),
    Interaction(
        _ALL,
        "a window of 1280 x 720 pixels, light and dark",
        "no horizontal scrolling, no text below 11 pixels, help of every control",
        f"{_EVERY}::test_the_page_fits_a_projector_and_its_words_are_large_enough",
    ),
    Interaction(
        _ALL,
        "anything that takes more than 200 ms",
        "`computing ...` beside the number, until the answer is drawn",
        f"{_EVERY}::test_work_of_more_than_200_ms_is_announced_the_first_time_already",
    ),
    Interaction(
        _STXM,
        "the explorer in a cell of JupyterLab, light and dark",
        "the same map, spectrum and slider as on a page of its own",
        f"{_EXPLORERS}::test_the_same_explorer_in_jupyterlab",
    ),
    Interaction(
        _ALL,
        "all cells of the notebook in JupyterLab; its threshold slider",
        "the number that the library computes, and another map",
        f"{_LAB}::test_slider_shows_what_the_library_computes",
    ),
)


def make_table() -> str:
    """The table as Markdown, one row per interaction."""
    lines = ["| workflow | what you do | what it shows | test in `tests/browser` |", "|---|---|---|---|"]
    for row in INTERACTIONS:
        file, name = row.test.split("::")
        lines.append(f"| {row.workflow} | {row.gesture} | {row.shows} | `{file}`: `{name}` |")
    return "\n".join(lines)


def insert_table(page: str) -> str:
    """Text of the page with the table between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{make_table()}\n\n{END}{rest.split(END)[1]}"


def list_tests(file: str) -> set[str]:
    """Names of the test functions of a file of this folder."""
    tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


if __name__ == "__main__":
    PAGE.write_text(insert_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
