"""Controls of the explorers: words that say in numbers what they do, and the old functions that read them."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import phasekit as pk
from phasekit.viz.linked.pictures import PlotPicture
from tests.viz.explorer_data import make_decompositions, make_explorer, make_phases


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)


@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_every_control_says_in_numbers_what_it_does(workflow):
    controls = make_explorer(workflow)._descriptions
    assert len(controls) >= 3
    silent = {name: one.help for name, one in controls.items() if not re.search(r"\d", one.help)}
    assert not silent, "give a number: what does a value of the control do?"
    assert not {name for name, one in controls.items() if len(one.help) > 120}, "more than three lines below a slider"


@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_lines_and_bars_without_a_hue_are_seen_on_light_and_on_dark_paper(workflow):
    explorer = make_explorer(workflow)
    pictures = [explorer.draw(name) for name in explorer._views]
    plots = [picture for picture in pictures if isinstance(picture, PlotPicture)]
    used = {part.colour for picture in plots for part in (*picture.lines, *picture.marks)}
    used |= {colour for picture in plots if picture.bars for colour in picture.bars.colours}
    for colour in used:
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminance = float(linear @ [0.2126, 0.7152, 0.0722])
        if np.ptp(rgb) == 0:  # a hue is one of a class, which the key names
            assert min(1.05 / (luminance + 0.05), (luminance + 0.05) / 0.0556) > 3, colour


OLD = {
    "chosen_margin": ("stxm", "margin"),
    "chosen_confidence": ("stxm", "min_confidence"),
    "chosen_threshold": ("nmf", "threshold"),
}


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("is_live", [False, True])
def test_an_old_function_warns_and_gives_what_was_chosen(name, is_live, monkeypatch):
    workflow, value = OLD[name]
    monkeypatch.setattr("phasekit.viz.explorer.is_interactive", lambda: is_live)
    data = make_phases() if workflow == "stxm" else make_decompositions()["factors"]
    explorer = getattr(pk.viz, workflow).explorer(data)
    explorer.choose(**{value: 0.5})
    read = getattr(getattr(pk.viz, workflow), name)
    with pytest.warns(FutureWarning, match=f"{name}: .*explorer.values\\['{value}'\\]") as caught:
        assert read(explorer, 0.9) == explorer.values[value] == 0.5
    # The warning points at the cell, not at phasekit.
    assert caught[0].filename == __file__
    # Notebooks of the first version passed the figure of a headless run.
    with pytest.warns(FutureWarning, match=name):
        assert read(None, 0.9) == 0.9
