"""The colour keys of the phases as one picture for the page of an explorer."""

import base64
import html
from io import BytesIO
from typing import Any

from ..style import panels
from .colour_key import draw_colour_key

_MOST = 4  # keys side by side


def make_key_html(records: list[dict[str, Any]]) -> str:
    """Keys of all phases as HTML with a picture inside."""
    source = make_key_source(records)
    alt = "colour keys of " + ", ".join(str(record["name"]) for record in records)
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}">' if source else ""


def make_key_source(records: list[dict[str, Any]], cache: dict[str, str] = {}) -> str:  # noqa: B006 -- kept on purpose
    """Keys of all phases as the address of a picture that holds it; drawn once, empty without phases."""
    names = "|".join(str(record) for record in records)
    if records and names not in cache:
        columns = min(len(records), _MOST)
        figure, axes = panels(-(-len(records) // columns), columns, width=2.0, height=1.9)
        for axis in axes.flat[len(records) :]:
            axis.set_axis_off()
        for axis, record in zip(axes.flat, records, strict=False):
            draw_colour_key(axis, record)
        buffer = BytesIO()
        # White paper, so that the black labels are read on a dark page.
        figure.savefig(buffer, format="png", dpi=90)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        cache[names] = f"data:image/png;base64,{data}"
    return cache.get(names, "")
