"""Registry of the workflows, read by the command line, the batch runs, the samples, the tests and the documentation.

A workflow is a folder ``phasekit/<name>/`` with a module ``workflow`` that holds one :class:`Workflow`. The folders are
found here, and nothing else names them. A new workflow is one folder and one line in ``phasekit/__init__.pyi``.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Sample",
    "Workflow",
    "format_percent",
    "list_workflows",
]


def __dir__() -> list[str]:
    return list(__all__)


@dataclass(frozen=True)
class Sample:
    """One sample dataset."""

    name: str
    files: tuple[str, ...]
    about: str
    licence: str
    source: str  # recipe, "module:function", or where measured data come from


@dataclass(frozen=True)
class Workflow:
    """One analysis from a file to a map.

    Parameters
    ----------
    name
        Word of the command line; also the name of the folder, ``phasekit/<name>``.
    title
        What it does, in a few words.
    notebook
        File name of its notebook; the number it begins with orders the workflows.
    input, output
        What it takes and what it gives, for the table of the start page.
    sample
        Name of the sample that its notebook opens.
    samples
        Samples that come with phasekit for it.
    stages
        Its folders and modules in the order of the experiment; one imports only from those before it.
    status
        Status words of its map; ``None`` where its maps have none.
    result
        A variable that only a result of this workflow has.
    score
        ``score(result, truth)`` compares a result with the known truth of simulated data: label -> text.
    """

    name: str
    title: str
    notebook: str
    input: str
    output: str
    sample: str
    stages: tuple[str, ...]
    result: str
    # Optional: a workflow may share a sample, and its maps may have no status.
    samples: tuple[Sample, ...] = ()
    status: type[IntEnum] | None = None
    score: "Callable[[xr.Dataset, xr.Dataset], dict[str, str]] | None" = None


@cache
def list_workflows() -> tuple[Workflow, ...]:
    """All workflows, in the order of their notebooks.

    Examples
    --------
    >>> [workflow.name for workflow in list_workflows()][:3]
    ['stxm', 'nmf', 'acom']
    """
    # Found by their files, so that a new folder needs no entry in a list.
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/workflow.py"))
    described = [importlib.import_module(f"phasekit.{name}.workflow").WORKFLOW for name in folders]
    return tuple(sorted(described, key=lambda workflow: workflow.notebook))


def format_percent(share: float) -> str:
    """Format a share as a percentage.

    Examples
    --------
    >>> format_percent(0.125)
    '12.5 %'
    """
    return f"{100 * share:.1f} %"
