"""Bad pixels of every kind, three and more inputs each: counts in, spoilt counts and the true places out."""

import numpy as np

PLACES = ([5, 20, 40, 43], [41, 8, 33, 5])  # away from the direct beam


def at_places(counts, value, dtype):
    """The same value in every pattern."""
    out = counts.astype(dtype)
    out[:, :, PLACES[0], PLACES[1]] = value
    return out, single(counts)


def single(counts):
    true = np.zeros(counts.shape[2:], dtype=bool)
    true[PLACES] = True
    return true


def drawn(counts, draw, dtype=np.uint16):
    """A value of its own in every pattern, ``draw(rng, size)``."""
    out, rng = counts.astype(dtype), np.random.default_rng(2)
    out[:, :, PLACES[0], PLACES[1]] = draw(rng, (*counts.shape[:2], 4))
    return out, single(counts)


def at_times(counts, value, share, dtype):
    """The value in a share of the patterns."""
    out, rng = counts.astype(dtype), np.random.default_rng(3)
    when = rng.random((*counts.shape[:2], 4)) < share
    part = out[:, :, PLACES[0], PLACES[1]]
    out[:, :, PLACES[0], PLACES[1]] = np.where(when, np.asarray(value, dtype), part)
    return out, single(counts)


def in_rows(counts, value, dtype, rows=slice(0, 0), columns=slice(0, 0)):
    out, true = counts.astype(dtype), np.zeros(counts.shape[2:], dtype=bool)
    out[:, :, rows], out[:, :, :, columns] = value, value
    true[rows], true[:, columns] = True, True
    return out, true


def clipped(counts, limit, dtype, factor=1):
    """Counts cut at a limit; true where all patterns reach it."""
    out = np.minimum(counts * np.float64(factor), limit)
    return out.astype(dtype), (out >= limit).all(axis=(0, 1))


def behind(counts, covered):
    y, x = np.indices(counts.shape[2:]) - (np.array(counts.shape[2:])[:, None, None] - 1) / 2
    true = covered(y, x)
    return np.where(true, 0, counts).astype(np.uint16), true


def with_offset(counts, value):
    """An integrating camera: offset 100, 7 counts per electron, readout noise of 5 counts."""
    noise = np.random.default_rng(4).normal(100, 5, counts.shape)
    return at_places((noise + 7 * counts).round(), value, np.uint16)


CASES = {
    "dead": {
        "integers": lambda c: at_places(c * (c > -1), 0, np.uint16),
        "float": lambda c: at_places(c / 1000, 0, np.float32),
        "hardly counting": lambda c: drawn(c, lambda rng, size: rng.poisson(0.01, size)),
    },
    "hot": {
        "300 counts": lambda c: drawn(c, lambda rng, size: rng.poisson(300, size)),
        "40 counts": lambda c: drawn(c, lambda rng, size: rng.poisson(40, size)),
        "always 300": lambda c: at_places(c, 300, np.uint16),
        "in an integrating camera": lambda c: with_offset(
            c, np.random.default_rng(5).normal(2000, 20, (*c.shape[:2], 4))
        ),
    },
    "masked": {
        "uint16": lambda c: at_places(c, 65535, np.uint16),
        "uint32": lambda c: at_places(c, 2**32 - 1, np.uint32),
        "bad pixel of uint32": lambda c: at_places(c, 2**32 - 2, np.uint32),
        "65535 in uint32": lambda c: at_places(c, 65535, np.uint32),
        "int32": lambda c: at_places(c, -1, np.int32),
        "-2 in int16": lambda c: at_places(c, -2, np.int16),
        "lowest of int16": lambda c: at_places(c, -(2**15), np.int16),
        "int32 max": lambda c: at_places(c, 2**31 - 1, np.int32),
        "uint64 max": lambda c: at_places(c, 2**64 - 1, np.uint64),
        "NaN": lambda c: at_places(c, np.nan, np.float32),
        "inf": lambda c: at_places(c, np.inf, np.float64),
        "-1 in float": lambda c: at_places(c, -1, np.float32),
        "2^32-1 in float": lambda c: at_places(c, 2**32 - 1, np.float32),
        "uint8": lambda c: at_places(np.minimum(c, 200), 255, np.uint8),
    },
    "constant": {
        "7 counts": lambda c: at_places(c, 7, np.uint16),
        "1 count": lambda c: at_places(c, 1, np.uint16),
        "half a count, scaled": lambda c: at_places(c / 4, 2.5, np.float32),
    },
    "flickering": {
        "65535 in 4 %": lambda c: at_times(c, 65535, 0.04, np.uint16),
        "300 in 5 %": lambda c: at_times(c, 300, 0.05, np.uint16),
        "-1 in 4 %": lambda c: at_times(c, -1, 0.04, np.int32),
        "2^32-1 in 20 %": lambda c: at_times(c, 2**32 - 1, 0.2, np.uint32),
    },
    "line": {
        "dead row": lambda c: in_rows(c, 0, np.uint16, rows=slice(30, 31)),
        "hot column": lambda c: in_rows(c, 500, np.uint16, columns=slice(9, 10)),
        "two masked rows": lambda c: in_rows(c, 2**32 - 1, np.uint32, rows=slice(10, 12)),
        "NaN column": lambda c: in_rows(c, np.nan, np.float32, columns=slice(40, 41)),
    },
    "gap": {
        "4 masked rows": lambda c: in_rows(c, 2**32 - 1, np.uint32, rows=slice(28, 32)),
        "cross of -1": lambda c: in_rows(c, -1, np.int32, rows=slice(30, 34), columns=slice(12, 15)),
        "5 dark columns": lambda c: in_rows(c, 0, np.uint16, columns=slice(32, 37)),
        "through the beam": lambda c: in_rows(c, np.nan, np.float32, rows=slice(22, 26)),
    },
    "saturated": {
        "8 bits": lambda c: clipped(c, 255, np.uint8, factor=10),
        "12 bits": lambda c: clipped(c, 4095, np.uint16, factor=150),
        "16 bits": lambda c: clipped(c, 65535, np.uint16, factor=2500),
    },
    "beam_stop": {
        "bar": lambda c: behind(c, lambda y, x: (np.abs(x) < 3) & (y < 4)),
        "disk": lambda c: behind(c, lambda y, x: np.hypot(y, x) < 5),
        "square": lambda c: behind(c, lambda y, x: np.maximum(np.abs(y), np.abs(x)) < 4),
    },
}
