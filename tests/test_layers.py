"""Who may import whom inside the workflows: read off their descriptions, so that a new workflow is held to the same."""

import ast
from itertools import pairwise

import grimp
import pytest

from phasekit.workflows import list_workflows

from .tree import ROOT, tracked

WORKFLOWS = [workflow.name for workflow in list_workflows()]
#: What a workflow may import from; drawing and files belong to others.
BELOW = (
    *("correlation", "detector", "diffraction", "disks", "scattering", "crystals", "rotations"),
    *("schema", "workflows", "errors", "deprecation", "code_cache"),
)
DRAWING = ("matplotlib", "holoviews", "hvplot", "panel", "bokeh")
FILES = ("h5py", "h5netcdf", "zarr", "rsciio", "tifffile", "papermill")


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("phasekit", include_external_packages=True)


def imports_of(graph, package: str) -> list[tuple[str, str]]:
    modules = {package} | graph.find_descendants(package)
    return sorted((module, found) for module in modules for found in graph.find_modules_directly_imported_by(module))


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_imports_from_below_and_from_itself(graph, workflow):
    allowed = {workflow, *BELOW}
    wrong = [
        f"{module} imports {found}"
        for module, found in imports_of(graph, f"phasekit.{workflow}")
        if found.startswith("phasekit.") and found.split(".")[1] not in allowed and not module.endswith(".figures")
    ]
    assert not wrong


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_draws_only_in_its_figures_and_opens_no_file(graph, workflow):
    wrong = [
        f"{module} imports {found}"
        for module, found in imports_of(graph, f"phasekit.{workflow}")
        if found in FILES or (found in DRAWING and not module.endswith(".figures"))
    ]
    assert not wrong


@pytest.mark.parametrize("workflow", list_workflows(), ids=WORKFLOWS)
def test_a_stage_imports_only_from_earlier_ones(graph, workflow):
    prefix = f"phasekit.{workflow.name}."
    place = {stage: number for number, stage in enumerate(workflow.stages)}
    wrong = []
    for module, found in imports_of(graph, prefix.rstrip(".")):
        pair = [name.removeprefix(prefix).split(".")[0] for name in (module, found) if name.startswith(prefix)]
        for first, second in pairwise(pair):
            if first in place and second in place and place[second] > place[first]:
                wrong.append(f"{module} imports {found}")
    assert not wrong, "move the shared part to the earlier stage"


@pytest.mark.parametrize("workflow", list_workflows(), ids=WORKFLOWS)
def test_every_part_of_a_workflow_is_a_stage(workflow):
    folder = ROOT / "phasekit" / workflow.name
    parts = {
        path.relative_to(folder).parts[0].removesuffix(".py") for path in tracked(f"phasekit/{workflow.name}", "*.py")
    }
    assert parts - {"__init__", "workflow"} == set(workflow.stages)


@pytest.mark.parametrize("path", tracked("phasekit", "*.py"), ids=lambda path: str(path.relative_to(ROOT / "phasekit")))
def test_an_underscore_means_this_file_only(path):
    wrong = [
        f"{node.module} {name.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("phasekit"))
        for name in node.names
        if name.name.startswith("_") and not name.name.startswith("__")
    ]
    assert not wrong, "rule 3: drop the underscore of a name that another file uses"
