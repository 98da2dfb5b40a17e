"""What the command line gives for all rows of a batch."""

from collections.abc import Sequence
from pathlib import Path

from phasekit.errors import SchemaError

from ..settings import split_settings
from .checking import Group, Shared
from .entries import read_text
from .mappings import read_mapping


def read_shared(
    *,
    notebook: str | None = None,
    settings: Sequence[str] = (),
    files: Sequence[str] = (),
    memory: str | None = None,
    time: str | None = None,
) -> Shared:
    """Shared parameters of files, then those of ``name=value`` texts, which come before them.

    Raises
    ------
    ReadError
        A file is not there or is no mapping.
    SchemaError
        A text is not ``name=value``.
    """
    groups = [_read_group(Path(file)) for file in files]
    if settings:
        groups.append(Group("--set", Path.cwd(), tuple(split_settings(settings))))
    return Shared(notebook, tuple(groups), memory, time)


def _read_group(file: Path) -> Group:
    """Parameters of a YAML or JSON file; its relative paths count from its folder."""
    if file.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise SchemaError(f"--parameters {file}: needs a .yaml or .json file with one 'name: value' a line.")
    values = read_mapping(file, read_text(file))
    for name in ("workflow", "notebook"):
        if name in values:
            raise SchemaError(f"--parameters {file}: '{name}' is no parameter. Give --notebook {values[name]}.")
    return Group(str(file), file.parent, tuple(values.items()))
