"""Figures as files, with alt text."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from phasekit.errors import SchemaError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: "Figure", path: str | os.PathLike[str], *, alt: str, dpi: int = 150) -> Path:
    """Write a figure as PNG under its final name only when it is complete, with its alt text inside.

    Parameters
    ----------
    figure
        matplotlib figure. The alt text is also kept as its label, so that the notebook shows it with the figure.
    path
        File to write; the folder is made. ``figure_1_*.png`` is the map that the index page shows.
    alt
        One sentence that says what is seen, for readers who do not see it.
    dpi
        Dots per inch.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SchemaError
        ``alt`` is empty.

    See Also
    --------
    panels : Makes a figure.

    Examples
    --------
    >>> import tempfile
    >>> from phasekit.viz import panels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(panels()[0], Path(folder) / "figure_1_empty.png", alt="Empty axes.").name
    'figure_1_empty.png'
    """
    if not alt.strip():
        raise SchemaError(
            "save_figure: 'alt' is empty, needs one sentence that says what is seen. Give alt='Phase map of ...'."
        )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The label is what `setup` gives to the notebook as alt text, the metadata what the index page reads.
    figure.set_label(alt)
    # Renamed when complete: an index page never embeds half a figure. The dot keeps it out of figure_*.png.
    partial = target.with_name(f".{target.name}.part")
    figure.savefig(partial, format="png", dpi=dpi, bbox_inches="tight", metadata={"Description": alt})
    os.replace(partial, target)
    return target
