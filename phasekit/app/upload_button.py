"""The upload button: the browser checks size and type, and sends the file as it is; the server checks again."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from .data_root import format_size
from .page_style import BOX_STYLE, write_box
from .uploads import UploadFolder

# One request per file, in turn. The first one replaces what was sent before.
_SEND = """
const input = document.createElement("input");
input.type = "file";
input.multiple = true;
const escape = (text) => text.replace(/[&<>]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;"}[c]));
const say = (kind, text) => {
  status.text = escape(`<div class="pk-${kind}" role="status">`) + escape(escape(text)) + escape("</div>");
};
const send = (file, first) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  const query = new URLSearchParams({key, name: file.name, first: first ? "1" : "0"});
  request.open("POST", `upload?${query}`);
  request.upload.onprogress = (event) => {
    say("busy", `${file.name}: ${Math.round(100 * event.loaded / event.total)} % sent`);
  };
  request.onload = () => {
    if (request.status === 200) resolve(JSON.parse(request.responseText).name);
    else reject(new Error(request.responseText));
  };
  request.onerror = () => reject(new Error(`${file.name}: the connection ended. ${limit_text}`));
  request.send(file);
});
input.onchange = async () => {
  const files = Array.from(input.files);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total > limit) { say("error", limit_text); return; }
  try {
    const names = [];
    for (const file of files) names.push(await send(file, names.length === 0));
    say("note", `received: ${names.join(", ")}`);
    done.value = JSON.stringify({names, at: performance.now()});
  } catch (error) { say("error", error.message); }
};
input.click();
"""


def make_upload_button(folder: UploadFolder, take: Callable[[str], Awaitable[None]]) -> Any:
    """Button with its limits in words; ``take`` is told the name of the file to open."""
    import panel

    pn: Any = panel
    limit = format_size(folder.most_bytes)
    button = pn.widgets.Button(label="upload ...", width=110, css_classes=["pk-upload"])
    text = f"At most {limit} together. Several files where one belongs to the other (.hdr with .xim, .ncb with .dat)."
    hint = pn.pane.HTML(write_box("hint", text), stylesheets=[BOX_STYLE], margin=(0, 10), width=420)
    status = pn.pane.HTML("", stylesheets=[BOX_STYLE], margin=(0, 10), width=420, css_classes=["pk-upload-status"])
    # Tells the server that all files were received; nobody sees it.
    done = pn.widgets.TextInput(value="", visible=False)

    async def on_done(event: Any) -> None:
        names = json.loads(event.new)["names"]
        name = choose_main(names)
        if name:
            await take(name)

    done.param.watch(on_done, "value")
    arguments = {"status": status, "done": done, "key": folder.key, "limit": folder.most_bytes}
    arguments["limit_text"] = str(folder.refuse_size())
    button.js_on_click(args=arguments, code=_SEND)
    return pn.Column(button, hint, status, done)


def choose_main(names: list[str]) -> str:
    """File to open among those that were sent: the header, not its frames.

    Examples
    --------
    >>> choose_main(["scan_a000.xim", "scan.hdr"]), choose_main(["a.dat", "a.ncb"]), choose_main(["a.h5"])
    ('scan.hdr', 'a.ncb', 'a.h5')
    """
    # Frames and data files come first in the alphabet as often as not.
    heads = [name for name in names if name.lower().endswith((".hdr", ".ncb", ".tif", ".tiff"))]
    return (heads or names or [""])[0]
