"""A real browser on a real JupyterLab, with the rest of the world cut off."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
)
LOCAL = re.compile(r"^(http|ws)://127\.0\.0\.1[:/]|^(data|blob|about):")


# It holds an event loop that runs in this thread: ended with the package, so that no other test finds one.
@pytest.fixture(scope="package")
def browser():
    if not CHROMIUM or not Path(CHROMIUM).exists():
        reason = "no Chromium here (Debian: apt-get install chromium)"
        if os.environ.get("CHROMIUM_REQUIRED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(browser, tmp_path, request):
    """A page that notes every request to the outside, script error and console error in ``page.problems``."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    opened = context.new_page()
    opened.problems = []

    def refuse(route):
        opened.problems.append(("request to the outside", route.request.url))
        route.abort()

    # Nothing is answered in place of a content server: what is not on this machine is missing, as it would be at a
    # microscope without a network.
    context.route(lambda url: not LOCAL.match(url), refuse)
    opened.on("pageerror", lambda error: opened.problems.append(("script error", str(error))))
    opened.on("console", lambda line: line.type == "error" and opened.problems.append(("console", line.text)))
    yield opened
    folder = Path(os.environ.get("PHASEKIT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "_", request.node.name)
    opened.screenshot(path=str(folder / f"{name}.png"), full_page=True)
    context.close()


@pytest.fixture
def keep_picture(tmp_path):
    """Function that keeps a screenshot of a page or a part of it in PHASEKIT_SCREENSHOTS, and returns it."""
    folder = Path(os.environ.get("PHASEKIT_SCREENSHOTS", tmp_path))

    def keep(part, name: str) -> Image.Image:
        folder.mkdir(parents=True, exist_ok=True)
        part.screenshot(path=str(folder / f"{name}.png"))
        with Image.open(folder / f"{name}.png") as picture:
            return picture.convert("L")

    return keep


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Address of a JupyterLab on a copy of the suite, and the folder of the copy; nobody's settings are touched."""
    base = tmp_path_factory.mktemp("lab")
    suite = base / "suite"
    for folder in ("notebooks", "data-samples"):
        shutil.copytree(ROOT / folder, suite / folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "runs"))
    if "PHASEKIT_SCREENSHOTS" not in os.environ:  # pictures for the documentation show what a reader gets
        shorten_notebooks(suite / "notebooks")
    write_settings(base / "settings/@jupyterlab")
    private = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    environment = {**os.environ, **{f"JUPYTER_{key}": str(base / value) for key, value in private.items()}}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(base / "settings"), "IPYTHONDIR": str(base / "ipython")}
    environment |= {"JUPYTERLAB_WORKSPACES_DIR": str(base / "workspaces"), "OMP_NUM_THREADS": "1"}
    # The kernels run the phasekit of this checkout, whichever is installed.
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={suite}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    address = f"http://127.0.0.1:{port}"
    with (base / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_up(f"{address}/api/status", server)
            yield address, suite
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


#: Lines of the notebooks' parameters -> fewer trainings and ranks: what is tested is the page, not the result.
SHORTER = {
    "01_stxm_phase_map.ipynb": {"n_runs: int = 3": "n_runs: int = 1"},
    "02_nmf_components.ipynb": {"n_runs: int = 5": "n_runs: int = 2", "k_max: int = 12": "k_max: int = 8"},
}


def shorten_notebooks(folder: Path) -> None:
    for name, lines in SHORTER.items():
        text = (folder / name).read_text(encoding="utf-8")
        for given, shorter in lines.items():
            assert given in text, f"{name} has no line {given!r} any more"
            text = text.replace(given, shorter)
        (folder / name).write_text(text, encoding="utf-8")


def write_settings(folder: Path) -> None:
    for name in ("notebook-extension", "apputils-extension"):
        (folder / name).mkdir(parents=True)
    tracker = '{"windowingMode": "none", "autoStartDefaultKernel": true}'
    (folder / "notebook-extension/tracker.jupyterlab-settings").write_text(tracker, encoding="utf-8")
    quiet = '{"fetchNews": "false", "checkForUpdates": false}'
    (folder / "apputils-extension/notification.jupyterlab-settings").write_text(quiet, encoding="utf-8")


def wait_until_up(address: str, server: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab stopped with code {server.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=60):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(address)
