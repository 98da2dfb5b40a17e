"""Sign of work in the browser: it stands there whenever the kernel has not answered within 200 ms."""

from typing import Any

from .controls import TEXT_STYLE

#: Time without an answer after which the sign is shown [ms]. Shorter waits are not felt as waits.
PATIENCE_MS = 200
# The browser starts the clock itself: while the kernel computes, it sends nothing. Only what the kernel answers counts:
# a value of a control, or a source of a gesture, which numbers its messages in the column `n`.
_ON_SHOWN = """
if (sign.document != null && sign.pk_timer === undefined) {
  sign.pk_timer = null;
  sign.document.on_change((event) => {
    if (event.kind !== "ModelChanged" || event.model === answers || event.sync === false) return;
    const asked = event.attr === "value" || (event.attr === "data" && event.model.data.n !== undefined);
    if (!asked || sign.pk_timer !== null) return;
    sign.pk_timer = setTimeout(() => { sign.text = "computing ..."; }, patience);
  });
}
"""
_ON_ANSWER = """
clearTimeout(sign.pk_timer ?? 0);
if (sign.pk_timer !== undefined) sign.pk_timer = null;
if (sign.text !== "") sign.text = "";
"""


class BusySign:
    """Words beside the number of an explorer, shown while an answer is late."""

    def __init__(self, figure: Any) -> None:
        from bokeh.models import ColumnDataSource, CustomJS
        from bokeh.models.widgets import Div

        self.view = Div(text="", css_classes=["pk-waiting"], height=18, stylesheets=[TEXT_STYLE])
        self._answers = ColumnDataSource({"n": [0]})
        args = {"sign": self.view, "answers": self._answers, "patience": PATIENCE_MS}
        # As for the gestures: the width is known once the figure stands on the page.
        figure.js_on_change("inner_width", CustomJS(args=args, code=_ON_SHOWN))
        self._answers.js_on_change("data", CustomJS(args=args, code=_ON_ANSWER))

    def answer(self) -> None:
        """Tell the browser that what it asked for was drawn, or that a slow drawing has been announced."""
        self._answers.data = {"n": [self._answers.data["n"][0] + 1]}
