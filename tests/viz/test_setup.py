"""Headless means headless; interactive means without a network."""

import subprocess
import sys

import pytest

import phasekit as pk


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_headless_loads_no_widgets():
    code = "import phasekit as pk, sys; pk.viz.setup(interactive=False); assert not pk.viz.is_interactive()"
    code += "; print(*sys.modules); import matplotlib; print(matplotlib.get_backend())"
    *loaded, backend = run(code).split()
    assert not {"panel", "holoviews", "bokeh", "hvplot"} & set(loaded)
    assert backend.lower() == "agg"


def test_interactive_embeds_the_scripts_instead_of_asking_a_server():
    code = "import phasekit as pk; pk.viz.setup(interactive=True); assert pk.viz.is_interactive()"
    code += "; import panel as pn, holoviews as hv; print(pn.config.inline, hv.Store.current_backend)"
    assert run(code).split()[-2:] == ["True", "bokeh"]


@pytest.fixture
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_figure_is_shown_with_its_alt_text(shell):
    pk.viz.setup(interactive=False)
    figure, _ = pk.viz.panels()
    figure.set_label("An empty map.")
    data, metadata = shell.display_formatter.format(figure)
    assert data["image/png"]
    assert metadata["image/png"]["alt"] == "An empty map."
