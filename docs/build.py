"""Build the documentation site: `make docs`, or `python docs/build.py --out docs/_build [--no-notebooks]`.

The pages are gathered in `<out>/source`, each at its place in the repository, together with what is made from the
package: pages of the API, figures of the guide, executed notebooks. Sphinx reads that folder alone, so the checkout
stays clean. Notebooks and figures are made again only when their own source, the package or the samples changed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (
    "docs/**/*.md",
    "docs/images/*",
    "benchmarks/*/report/*.md",
    "benchmarks/*/report/*.png",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md",
    "AUTHORS.md",
    "data-samples/README.md",
)
sys.path.insert(0, str(DOCS / "_extensions"))
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Gather, make, and call Sphinx with warnings as errors; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DOCS / "_build", help="folder of everything that is made")
    parser.add_argument("--no-notebooks", action="store_true", help="execute none; kept results are shown")
    parser.add_argument("--pages-only", action="store_true", help="gather and generate, do not call Sphinx")
    options = parser.parse_args()
    out = options.out.resolve()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONPATH=_with_root(), MPLBACKEND="Agg")
    gather(out / "source")
    generate(out / "source" / "docs" / "api")
    make_figures(out)
    make_notebooks(out, execute=not options.no_notebooks)
    return 0 if options.pages_only else call_sphinx(out)


def gather(source: Path) -> None:
    """Copy the pages of the repository to the same places below ``source``; drop those that are gone."""
    found = {path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern) if path.is_file()}
    wanted = {path for path in found if not any(part.startswith("_") for part in path.parts)}
    for path in wanted:
        update(source / path, (ROOT / path).read_bytes())
    for path in source.glob("**/*.md"):
        name = path.relative_to(source)
        if name not in wanted and not name.is_relative_to("docs/api"):
            path.unlink()


def generate(folder: Path) -> None:
    """Write the pages that come from the package itself; drop those of names that are gone."""
    import api_tables
    import schema_pages

    pages = api_tables.make_pages() | schema_pages.make_pages(schema_pages.read_meanings(DOCS / "status_words.txt"))
    for name, text in pages.items():
        update(folder / f"{name}.md", text.encode())
    for path in folder.glob("**/*.md"):
        if path.relative_to(folder).with_suffix("").as_posix() not in pages:
            path.unlink()


def make_figures(out: Path) -> None:
    """Run the scripts of docs/figures that are not fresh, side by side; pictures go to ``source/docs/figures``."""
    kept = {script: out / "cache" / f"figures-{script.stem}" for script in sorted((DOCS / "figures").glob("[a-z]*.py"))}
    stale = [script for script in kept if not _is_fresh(kept[script], _key(script))]
    for script in stale:
        shutil.rmtree(kept[script], ignore_errors=True)
    running = {script: subprocess.Popen([sys.executable, str(script), str(kept[script])], cwd=ROOT) for script in stale}
    failed = [script.name for script, process in running.items() if process.wait() != 0]
    if failed:
        raise SystemExit(f"docs/figures: {', '.join(failed)} failed; see above.")
    for script, folder in kept.items():
        (folder / "key").write_text(_key(script), encoding="utf-8")
        for picture in folder.glob("*.png"):
            update(out / "source" / "docs" / "figures" / picture.name, picture.read_bytes())


def make_notebooks(out: Path, *, execute: bool) -> None:
    """Put each notebook into ``source/notebooks``, with its results where these are kept or may be made."""
    import notebook_pages

    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        kept = out / "cache" / notebook.stem
        if execute and not _is_fresh(kept, _key(notebook)):
            print(f"executing {notebook.name} ...", flush=True)
            notebook_pages.execute(notebook, kept)
            (kept / "key").write_text(_key(notebook), encoding="utf-8")
        shown = kept / notebook.name if _is_fresh(kept, _key(notebook)) else notebook
        update(out / "source" / "notebooks" / notebook.name, notebook_pages.prepare(shown, notebook).encode())


def call_sphinx(out: Path) -> int:
    """HTML from the gathered pages, every warning an error; the root leads to the start page."""
    options = ["-W", "--keep-going", "-n", "-q", "-j", "auto", "-d", str(out / "doctrees"), "-c", str(DOCS)]
    command = [sys.executable, "-m", "sphinx", "-b", "html", *options, str(out / "source"), str(out / "html")]
    status = subprocess.run(command, check=False).returncode
    address = '<meta http-equiv="refresh" content="0; url=docs/index.html">'
    page = f'<!doctype html><html lang="en"><head>{address}<title>phasekit</title></head><body></body></html>\n'
    update(out / "html" / "index.html", page.encode())
    if status == 0:
        print(f"The site is in {out / 'html' / 'index.html'}")
    return status


def update(path: Path, content: bytes) -> None:
    """Write a file unless it holds the same already (Sphinx reads only what is newer)."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _with_root() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _key(source: Path) -> str:
    """Hash of all that a result hangs on: its source, the package, the samples, and the scripts that make it."""
    helper = "_extensions/notebook_pages.py" if source.suffix == ".ipynb" else "figures/_common.py"
    files = [source, DOCS / helper, *sorted((ROOT / "data-samples").glob("*"))]
    digest = hashlib.sha256()
    for path in [*files, *sorted((ROOT / "phasekit").glob("**/*.py"))]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_fresh(kept: Path, key: str) -> bool:
    return (kept / "key").is_file() and (kept / "key").read_text(encoding="utf-8") == key


if __name__ == "__main__":
    sys.exit(main())
