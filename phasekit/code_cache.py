"""Where numba keeps compiled code when neither the package's folder nor the home folder can be written.

numba writes beside the source, else below the user's cache folder, and refuses to load a function where it can do
neither: a container with a read-only image, a cluster's node without the home folders. Compiling anew takes minutes, so
the code goes to a folder of the system's temporary ones that belongs to this user alone: what lies in it is executed.
"""

import os
import stat
import sys
from pathlib import Path


def ensure_code_cache(package: Path) -> Path | None:
    """Point numba to a temporary folder where it would find no other place; the folder, or ``None``.

    Parameters
    ----------
    package
        Folder of the package whose functions are compiled.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ensure_code_cache(Path(folder)) is None
    True
    """
    if os.environ.get("NUMBA_CACHE_DIR") or is_writable(package) or is_writable(user_cache()):
        return None
    folder = private_folder()
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # it has read the environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def user_cache() -> Path:
    """The user's cache folder, as numba takes it."""
    home = Path(os.path.expanduser("~"))
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def is_writable(folder: Path) -> bool:
    """Whether files can be made in the folder, or the folder itself be made."""
    for place in (folder, *folder.parents):
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False


def private_folder() -> Path:
    """A temporary folder that only this user can write: the same in every process, unless somebody else made it."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    folder = Path(tempfile.gettempdir()) / f"phasekit-compiled-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="phasekit-compiled-"))
    mine = not hasattr(os, "getuid") or (about.st_uid == os.getuid() and not about.st_mode & 0o077)
    if stat.S_ISDIR(about.st_mode) and mine:
        return folder
    return Path(tempfile.mkdtemp(prefix="phasekit-compiled-"))
