"""Variables of our own files as dask arrays whose blocks raise a ReadError when they cannot be read."""

import uuid
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks

from .file_errors import damaged_file

#: What to do about a file of ours that cannot be read.
SAVE_AGAIN = "write it again with pk.io.save, or copy it again"
WORTH_A_TASK = 2**20  # [bytes] smaller stored blocks are read several at a time


@dataclass(frozen=True)
class _SafeVariable:
    """A variable of a file as dask slices it; an exception while a block is read becomes a ReadError."""

    variable: xr.Variable
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape

    @property
    def ndim(self) -> int:
        return self.variable.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.variable.dtype

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.variable[key].values
        except Exception as error:
            raise damaged_file(self.path, error, cure=SAVE_AGAIN) from error


def make_safe_arrays(data: xr.Dataset, path: Path) -> xr.Dataset:
    """Make dask arrays of the numeric variables; axes, scalars and text are read at once."""
    arrays = {}
    for name, variable in data.variables.items():
        # Axes are needed at once, and dask cannot hold text.
        if name in data.indexes or not variable.ndim or variable.dtype.kind not in "biufcmM":
            variable.load()
            continue
        arrays[name] = da.from_array(  # type: ignore[no-untyped-call]
            _SafeVariable(variable, path),
            chunks=_choose_blocks(variable),
            # A new name each time: dask must not take a file that was overwritten for the old one.
            name=f"stored-{name}-{uuid.uuid4().hex}",
            fancy=False,
            meta=np.empty((0,) * variable.ndim, dtype=variable.dtype),
        )
    return data.assign({name: (data[name].dims, array, data[name].attrs) for name, array in arrays.items()})


def _choose_blocks(variable: xr.Variable) -> Any:
    """Choose the stored blocks when these are worth a task, else several of them together."""
    stored = variable.encoding.get("preferred_chunks") or {}
    sizes = tuple(stored.get(dim, n) for dim, n in variable.sizes.items())
    if stored and prod(sizes) * variable.dtype.itemsize >= WORTH_A_TASK:
        return sizes
    # Small stored blocks are read in groups of up to 32 MiB, which are multiples of them.
    limit = max(WORTH_A_TASK, 32 * 2**20)
    return normalize_chunks("auto", variable.shape, limit, variable.dtype, sizes)  # type: ignore[no-untyped-call]
