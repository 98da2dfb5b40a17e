"""Arrays of a page as text: bytes sorted by their place in the number, deflated, in base64."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .quantise import Codes


class Section(NamedTuple):
    """Several arrays packed together, and the table by which the page finds them."""

    text: str  # base64
    table: list[dict[str, Any]]

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.text)


def pack_section(arrays: Mapping[str, Codes]) -> Section:
    """Pack arrays of unsigned whole numbers; their names and codings go into the table."""
    parts, table = [], []
    for name, coded in arrays.items():
        parts.append(_sort_bytes(coded.codes))
        entry = {"name": name, "bytes": coded.codes.dtype.itemsize, "count": int(coded.codes.size)}
        entry |= {"kind": coded.kind, "low": coded.low, "step": coded.step, "missing": coded.missing}
        table.append(entry | {"error": coded.error, "shape": list(coded.codes.shape)})
    # 6 of 9: the last steps take ten times as long for one part in a hundred.
    return Section(base64.b64encode(zlib.compress(b"".join(parts), 6)).decode("ascii"), table)


def _sort_bytes(codes: NDArray[Any]) -> bytes:
    """All lowest bytes, then all next ones: high bytes hardly vary, and equal ones take no room when deflated."""
    flat = np.ascontiguousarray(codes).astype(codes.dtype.newbyteorder("<")).ravel()
    return flat.view(np.uint8).reshape(-1, codes.dtype.itemsize).T.tobytes() if flat.size else b""
