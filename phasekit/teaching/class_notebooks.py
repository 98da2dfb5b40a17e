"""Notebooks for a class, made from the one source: with or without the solutions."""

import os
from pathlib import Path

from phasekit.batch.cells import SOLUTION, drop_cells
from phasekit.errors import ReadError


def write_notebooks(folder: str | os.PathLike[str], *, solutions: bool = False) -> list[Path]:
    """Copy all notebooks to a folder, for a class without the solutions.

    Parameters
    ----------
    folder
        Folder to write to; it is made. A notebook that is there already is not overwritten.
    solutions
        Whether the hidden solutions are kept (for the teacher).

    Returns
    -------
    list of pathlib.Path
        The notebooks, as ``FOLDER/notebooks/*.ipynb``. The samples are copied beside them, so that the relative paths
        of the notebooks hold.

    Raises
    ------
    ReadError
        A notebook or a sample of that name is there already.

    See Also
    --------
    check : Checks the answers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_notebooks(folder)][:2]
    ['00_start_here.ipynb', '01_stxm_phase_map.ipynb']
    """
    import shutil

    import nbformat

    from phasekit.samples import root

    target = Path(folder)
    sources = sorted((root() / "notebooks").glob("*.ipynb"))
    samples = sorted(path for path in (root() / "data-samples").iterdir() if path.is_file())
    places = [target / "notebooks" / path.name for path in sources]
    for place in places:
        if place.exists():
            raise ReadError(place, found="a notebook of this name", cure="give a new folder, so that no answer is lost")
    for name in ("notebooks", "data-samples"):
        (target / name).mkdir(parents=True, exist_ok=True)
    for source, place in zip(sources, places, strict=True):
        notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
        kept = notebook if solutions else drop_cells(notebook, SOLUTION)
        nbformat.write(kept, place)  # type: ignore[no-untyped-call]
    for sample in samples:
        shutil.copyfile(sample, target / "data-samples" / sample.name)
    return places
