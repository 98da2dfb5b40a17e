"""Small copies of the figures, so that a page of a thousand rows opens at once."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

THUMBNAIL = ".thumbnail.png"
_WIDTH_PX, _HEIGHT_PX = 200, 120


def write_thumbnail(folder: Path, figures: Sequence[Mapping[str, str]]) -> None:
    """Write a small copy of the first figure of a run; without a figure, an old copy is removed."""
    from PIL import Image

    target = folder / THUMBNAIL
    if not figures:
        target.unlink(missing_ok=True)
        return
    with Image.open(folder / figures[0]["file"]) as figure:
        small = figure.convert("RGB")
        small.thumbnail((_WIDTH_PX, _HEIGHT_PX))
    partial = folder / f"{THUMBNAIL}.part"
    small.save(partial, format="PNG")
    os.replace(partial, target)
