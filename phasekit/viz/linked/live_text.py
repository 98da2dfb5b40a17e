"""Text in the browser that changes: only the text is sent again."""

from functools import cache
from typing import Any


def make_text(kind: str, text: str, **settings: Any) -> Any:
    """Panel pane of a ``kind``, ``"HTML"`` or ``"Markdown"``, with Panel's settings."""
    return _derive(kind)(text, **settings)


@cache
def _derive(kind: str) -> Any:
    """Panel's class, but with updates that leave the style sheets alone."""
    import panel

    base: Any = getattr(panel.pane, kind)

    class LiveText(base):
        """A pane whose style sheets stay as they were first sent."""

        def _update(self, ref: str, model: Any) -> None:
            # Panel sends all style sheets again with each new text, as addresses of its content server. In a notebook
            # they have been sent inline already, and without a network each address is an error in the browser.
            properties = self._get_properties(model.document)
            properties.pop("stylesheets", None)
            model.update(**properties)

    return LiveText
