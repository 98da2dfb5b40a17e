"""The files of the project itself: what git tracks, whatever else lies in the folder.

``python -m tests.tree FOLDER`` copies them, as they are in the working tree, to a new folder: linters read that copy.
"""

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Top-level folders of the project, for a copy of the source that is no git repository (a downloaded archive).
FOLDERS = ("benchmarks", "binder", "constraints", "data-samples", "docs", "notebooks", "phasekit", "tests")


@cache
def project_files() -> tuple[str, ...]:
    """Paths of all files of the project, relative to its root, with forward slashes, sorted."""
    try:
        top = _git("rev-parse", "--show-toplevel").rstrip("\n")
        listed = _git("ls-files", "-z").split("\0")
    except (OSError, subprocess.CalledProcessError):
        return tuple(sorted(_without_git()))
    if not os.path.samefile(top, ROOT):  # an archive unpacked inside another project
        return tuple(sorted(_without_git()))
    return tuple(sorted(name for name in listed if name and (ROOT / name).is_file()))


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout.decode()


def _without_git() -> list[str]:
    """Files at the top and in the project's folders that are neither hidden nor made by Python."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = [path.relative_to(ROOT) for path in found]
    made = (".", "__pycache__")
    return [name.as_posix() for name in names if not any(part.startswith(made) for part in name.parts)]


def tracked(folder: str = "", pattern: str = "*") -> list[Path]:
    """Files of the project below ``folder`` whose name matches ``pattern``, as absolute paths, sorted."""
    start = f"{folder.rstrip('/')}/" if folder else ""
    return [ROOT / name for name in project_files() if name.startswith(start) and fnmatch(Path(name).name, pattern)]


def copy_to(folder: Path) -> None:
    """Copy the project's files to ``folder``, new or a copy made before; times of change are kept for caches."""
    mark = folder / ".copy-of-the-project"
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            raise SystemExit(f"{folder} is not empty and no copy of the project. Name another folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    for name in project_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


if __name__ == "__main__":
    copy_to(Path(sys.argv[1]).resolve())
