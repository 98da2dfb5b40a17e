"""Call public functions one after the other and keep what each returns: values, dimensions, types, attributes."""

import hashlib
import inspect
import json
import re
import time
import traceback
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .aliases import FUNCTIONS, SETTINGS

UNSTEADY = {"seconds"}  # measured times, other ones in every run
#: Name, dimensions, values and attributes of one array inside a result.
Part = tuple[str, tuple[Any, ...], Any, Mapping[Any, Any]]
LARGEST = 60_000_000  # bytes of a value that is kept for the differences; a larger one is known by its hash alone


class Missing:
    """What stands for the result of a step that failed: whatever is taken from it is missing too."""

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> "Missing":
        return self

    def __call__(self, *_: Any, **__: Any) -> "Missing":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Recorder:
    """Steps by name in ``steps``; values by "step/variable" in ``values``."""

    def __init__(self, package: Any, tree: Path, scratch: Path) -> None:
        self.package = package
        self.scratch = scratch
        self.folders = {str(tree): "TREE", str(scratch): "SCRATCH"}
        self.steps: dict[str, dict[str, Any]] = {}
        self.values: dict[str, np.ndarray[Any, Any]] = {}

    def __call__(self, function: str, *args: Any, step: str = "", **settings: Any) -> Any:
        """Call ``acom.find_peaks`` (old name) and record its result under ``step`` (default: that name)."""
        step = step or function
        start = time.perf_counter()
        try:
            if any(isinstance(value, Missing) for value in (*args, *settings.values())):
                raise RuntimeError("an input is missing, because an earlier step failed")
            result = _loaded(self._call(function, args, settings))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {error} ({Path(last.filename).name})"
            self.fail(step, words)
            return Missing()
        self.record(step, result, time.perf_counter() - start)
        return result

    def _call(self, function: str, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        *path, old = function.split(".")
        owner = self.package
        for part in path:
            owner = getattr(owner, part)
        name = next((name for name in FUNCTIONS.get(old, (old,)) if _has(owner, name)), old)
        called = getattr(owner, name)
        known = inspect.signature(called).parameters
        for setting in list(settings):
            names = SETTINGS.get((old, setting), (setting,))
            settings[next((one for one in names if one in known), setting)] = settings.pop(setting)
        return called(*args, **settings)

    def record(self, step: str, result: Any, seconds: float = 0.0) -> None:
        variables: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for name, dims, values, attrs in _parts(result):
            if name in UNSTEADY:
                continue
            values = np.asarray(values)  # noqa: PLW2901
            if values.dtype == object:
                values = values.astype(str)  # noqa: PLW2901
            shape = list(values.shape)
            digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
            variables[name] = {"sha256": digest, "dims": list(dims), "dtype": str(values.dtype), "shape": shape}
            if values.nbytes <= LARGEST:
                self.values[f"{step}/{name}"] = values
            if attrs:
                attributes[name] = self._attributes(attrs)
        if hasattr(result, "attrs"):
            attributes[""] = self._attributes(result.attrs)
        done = {"error": "", "variables": variables, "attributes": attributes, "seconds": round(seconds, 2)}
        self.steps[step] = done

    def _attributes(self, attrs: Mapping[Any, Any]) -> dict[str, str]:
        """Attributes as text, without the folders of this run."""
        texts = {str(key): _as_text(str(key), value) for key, value in attrs.items()}
        for folder, word in self.folders.items():
            texts = {key: text.replace(folder, word) for key, text in texts.items()}
        return texts

    def text(self, step: str, path: Any) -> None:
        """Record a text file by a check sum of every line, without the folders of this run."""
        if isinstance(path, Missing):
            self.fail(step, "no file")
            return
        raw = Path(path).read_bytes()
        for folder, word in self.folders.items():
            raw = raw.replace(folder.encode(), word.encode())
        self.record(step, {"lines": np.array([f"{zlib.crc32(line):08x}" for line in raw.split(b"\n")])})

    def fail(self, step: str, words: str) -> None:
        self.steps[step] = {"error": words, "variables": {}, "attributes": {}, "seconds": 0.0}


def _has(owner: Any, name: str) -> bool:
    try:
        getattr(owner, name)
    except AttributeError:
        return False
    return True


def _loaded(result: Any) -> Any:
    """Lazy results are computed; what follows reads the same numbers."""
    return result.compute() if isinstance(result, xr.Dataset | xr.DataArray) else result


def _parts(value: Any, name: str = "") -> Iterator[Part]:
    """All arrays and numbers inside a result, with their dimensions and attributes."""
    if isinstance(value, xr.Dataset):
        for key, array in value.variables.items():
            yield _join(name, key), array.dims, array.to_numpy(), array.attrs
    elif isinstance(value, xr.DataArray):
        yield name or "value", value.dims, value.to_numpy(), value.attrs
        yield from _parts(value.coords.to_dataset(), name)
    elif isinstance(value, np.ndarray) or _is_flat(value):
        yield name or "value", (), np.asarray(value), {}
    elif isinstance(value, Mapping | tuple | list) or is_dataclass(value):
        for key, one in _members(value):
            yield from _parts(one, _join(name, key))
    else:
        words = value.name if isinstance(value, Path) else re.sub(r" at 0x[0-9a-f]+", "", repr(value))
        yield name or "value", (), np.asarray(words), {}


def _is_flat(value: Any) -> bool:
    """A number, a string, or a list of them."""
    return np.isscalar(value) or (isinstance(value, tuple | list) and all(np.isscalar(one) for one in value))


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    return [(field.name, getattr(value, field.name)) for field in fields(value)]


def _join(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _as_text(key: str, value: Any) -> str:
    """An attribute as text; of the provenance what was done with which settings, not the versions."""
    if key == "provenance":
        kept = [{"step": one.get("step"), "settings": one.get("settings")} for one in json.loads(value)]
        return json.dumps(kept, sort_keys=True)
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    return repr(value)
