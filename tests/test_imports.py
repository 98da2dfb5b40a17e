"""Importing phasekit costs next to nothing; what is heavy comes with the step that needs it."""

import subprocess
import sys

import pytest

from phasekit.workflows import list_workflows

HEAVY = (
    "torch",
    "xarray",
    "numpy",
    "sklearn",
    "skimage",
    "numba",
    "orix",
    "dask",
    "matplotlib",
    "holoviews",
    "panel",
    "h5py",
)


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_phasekit_loads_nothing_heavy():
    assert not modules_after("import phasekit") & set(HEAVY)


@pytest.mark.parametrize(
    ("statement", "light"),
    [
        ("import phasekit as pk; pk.stxm", ("torch", "sklearn", "skimage", "matplotlib", "panel")),
        ("import phasekit as pk; pk.acom", ("torch", "sklearn", "numba", "orix", "matplotlib", "panel")),
        ("import phasekit as pk; pk.nmf", ("torch", "sklearn", "numba", "skimage", "matplotlib", "panel")),
        ("import phasekit as pk; pk.io", ("torch", "sklearn", "rsciio", "orix", "matplotlib", "panel")),
        ("import phasekit.cli", ("torch", "sklearn", "numba", "orix", "matplotlib", "panel", "papermill")),
    ],
)
def test_a_folder_s_name_loads_none_of_its_steps(statement, light):
    assert not modules_after(statement) & set(light)


def test_the_table_of_contents_is_what_can_be_reached():
    import phasekit as pk

    for name in (*(workflow.name for workflow in list_workflows()), "io", "synthetic", "viz", "batch", "samples"):
        module = getattr(pk, name)
        for public in getattr(module, "__all__", []):
            assert getattr(module, public) is not None
