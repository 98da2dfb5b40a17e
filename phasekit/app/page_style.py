"""Look of the page, light and dark: the template around Panel's page, and boxes of text."""

from html import escape
from typing import Any

_STYLE = """
html { color-scheme: light dark; background: #ffffff; color: #1c1c1c; }
html[data-pk-theme="dark"] { background: #121212; color: #e6e6e6; color-scheme: dark; }
body { font-family: system-ui, sans-serif; max-width: 1500px; margin: 0 auto; padding: 0 8px 24px; }
.pk-theme { position: absolute; top: 10px; right: 16px; font-size: 13px; color: inherit; }
"""

# The theme of the widgets is chosen by the server, so the page is asked for once more where the screen is dark.
_SCRIPT = """
const given = new URLSearchParams(location.search);
if (!given.has("theme")) {
  given.set("theme", matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default");
  if (given.get("theme") === "dark") location.replace("?" + given);
}
const isDark = given.get("theme") === "dark";
document.documentElement.dataset.pkTheme = isDark ? "dark" : "light";
addEventListener("DOMContentLoaded", () => {
  const link = document.querySelector(".pk-theme");
  link.textContent = isDark ? "light theme" : "dark theme";
  link.addEventListener("click", () => {
    const now = new URLSearchParams(location.search);
    now.set("theme", isDark ? "default" : "dark");
    link.href = "?" + now;
  });
});
"""

# Bokeh puts its own page around it.
PAGE_TEMPLATE = f"""
{{% block title %}}phasekit{{% endblock %}}
{{% block postamble %}}
<style>{_STYLE}</style>
<script>{_SCRIPT}</script>
{{% endblock %}}
{{% block contents %}}
<a class="pk-theme" href="?">theme</a>
{{{{ super() }}}}
{{% endblock %}}
"""

#: Style of the boxes of text; colours of the border are seen on white and on near-black.
BOX_STYLE = """
:host { color: var(--panel-on-background-color, inherit); font-size: 14px; }
.pk-head { font-size: 20px; font-weight: 600; margin: 8px 110px 4px 0; }
.pk-head span { font-weight: 400; font-size: 15px; opacity: 0.85; margin-left: 12px; overflow-wrap: anywhere; }
.pk-error, .pk-note, .pk-busy { border-left: 4px solid #888888; padding: 6px 10px; margin: 6px 0;
  background: rgba(128, 128, 128, 0.12); white-space: pre-wrap; overflow-wrap: anywhere; }
.pk-error { border-color: #d55e00; }
.pk-note { border-color: #0072b2; }
.pk-hint { font-size: 12px; opacity: 0.75; }
"""


def write_box(kind: str, text: Any, *others: Any) -> str:
    """Box of text as HTML; names of files are shown as they are, whatever they hold.

    Examples
    --------
    >>> write_box("error", "<b>.h5")
    '<div class="pk-error" role="alert">&lt;b&gt;.h5</div>'
    """
    role = ' role="alert"' if kind == "error" else ""
    rest = "".join(f"<span>{escape(str(other))}</span>" for other in others)
    return f'<div class="pk-{kind}"{role}>{escape(str(text))}{rest}</div>'
