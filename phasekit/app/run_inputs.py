"""Inputs of a run as its record names them; those outside the data root are not read, and a note says so."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from phasekit.errors import PhasekitError, ReadError

from .data_root import DataRoot


class RunInputs:
    """Files and settings of a run."""

    def __init__(self, record: dict[str, Any], folder: Path, root: DataRoot) -> None:
        parameters = record.get("parameters")
        self.parameters: dict[str, Any] = parameters if isinstance(parameters, dict) else {}
        self.notes: list[str] = [] if self.parameters else ["There is no run.json beside this result: maps only."]
        self._folder, self._root = folder, root
        self._base = _find_base(record, folder)
        self._samples = _find_samples()

    def read(self, name: str, default: Any) -> Any:
        """Setting of the run, of the type of ``default``; the default where the record has another type or none."""
        # A record may be older than a setting, or changed by hand.
        value = self.parameters.get(name, default)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value if isinstance(value, type(default)) else default

    def find(self, name: str, what: str) -> list[Path]:
        """Files of a parameter that may be read; empty where one may not, and a note says why."""
        value = self.parameters.get(name) or []
        texts = [item for item in ([value] if isinstance(value, str) else value) if isinstance(item, str)]
        try:
            return [path for text in texts for path in self._find_files(text, what)]
        except ReadError as error:
            self.notes.append(str(error))
            return []

    def _find_files(self, text: str, what: str) -> Iterable[Path]:
        # Patterns are expanded here, so that each file is checked by itself.
        place = os.path.join(self._base, os.path.expanduser(text))
        if glob.has_magic(place) and not self._may_look_in(place):
            found = f"a pattern for {what} of this run outside the data root {self._root.folder}"
            raise ReadError(text, found=found, cure="copy the files beside result.nc")
        for path in sorted(glob.glob(place)) if glob.has_magic(place) and not os.path.exists(place) else [place]:
            yield self._find_one(Path(os.path.realpath(path)), what)

    def _may_look_in(self, pattern: str) -> bool:
        """Whether the folder of a pattern, before its first wildcard, may be read; else its matches would be told."""
        parts = Path(pattern).parts
        fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        folder = Path(os.path.realpath(Path(*parts[:fixed])))
        return ".." not in parts[fixed:] and any(root.holds(folder) for root in (self._root, *self._samples))

    def _find_one(self, path: Path, what: str) -> Path:
        # Results may have been copied from another machine, with the input beside them or at the root.
        for place in (path, self._folder / path.name, self._root.folder / path.name):
            for root in (self._root, *self._samples):
                if root.holds(Path(os.path.realpath(place))) and place.exists():
                    return root.find(str(place))
        # A file that is missing and one that may not be read are mended in different ways.
        if self._root.holds(path):
            raise ReadError(path, found=f"no such file ({what} of this run)", cure="copy it beside result.nc")
        both = os.path.commonpath([path.parent, self._root.folder])
        cure = f"start again with --root {both} to see it, or copy it beside result.nc"
        raise ReadError(path, found=f"{what} of this run outside the data root {self._root.folder}", cure=cure)


def _find_base(record: dict[str, Any], folder: Path) -> Path:
    """Folder from which relative paths of a record count: that of the notebook."""
    from phasekit.batch import find_notebook

    # Nothing is read: the folder is only the start of relative paths, which are checked like all others.
    try:
        return find_notebook(str(record.get("workflow", ""))).parent
    except PhasekitError:
        return folder


def _find_samples() -> list[DataRoot]:
    """The samples that come with phasekit: public, and the inputs of ``phasekit demo``."""
    from phasekit import samples

    try:
        return [DataRoot(samples.root() / "data-samples")]
    except PhasekitError:
        return []
