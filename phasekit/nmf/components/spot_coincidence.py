"""How likely two lists of spots are of one lattice: alignment, shared spots, and the probability from their number."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .spot_lists import SpotList

Array = NDArray[np.float64]
_ROUNDS = 4  # of the refinement: pairs of nearest spots change in the first two or three only
_LARGEST_SHIFT = 1.0  # [disk radii] by which the beam can drift between two parts of a grain
_LARGEST_SHARE = 0.5  # of the spots of the denser of two different lattices that can lie on the other


class Alignment(NamedTuple):
    """Rotation and shift that bring the first pattern's spots onto the second's."""

    angle: float  # [radian], from +x towards +y
    shift: Array  # (2,) as (y, x) [radii]

    def apply(self, position: Array) -> Array:
        """Positions of the first pattern where the second has them."""
        return turn_positions(position, self.angle) + self.shift

    def apply_inverse(self, position: Array) -> Array:
        """Positions of the second pattern where the first has them."""
        return turn_positions(position - self.shift, -self.angle)


class Coincidence(NamedTuple):
    """What two spot lists say of each other."""

    shared: float  # smaller one of the two shares of spots that the other pattern has too, 0..1
    probability: float  # that more spots are shared than two different lattices can share
    angle_deg: float  # rotation between the two about the beam
    n_spots: float  # effective number of spots that this rests on


def compare_spots(first: SpotList, second: SpotList, max_angle_deg: float) -> Coincidence:
    r"""Compare two spot lists.

    The share of a pattern's spots that the other has too, where its own amplitudes are :math:`a_u` and those of the
    other at the same places :math:`b_u`, is

    .. math:: S = \frac{\sum_u \min(a_u, b_u)}{\sum_u a_u}, \qquad n = \frac{(\sum_u a_u)^2}{\sum_u a_u^2}.

    Two different lattices share at most half of the spots of the denser one. Chance adds p of the others. With
    Jeffreys' prior the probability that the true share is larger follows from the beta distribution,

    .. math:: P\left(s > \tfrac{1}{2} (1 + p)\right), \qquad
              s \sim \mathrm{Beta}\left(n S + \tfrac{1}{2},\; n (1 - S) + \tfrac{1}{2}\right).

    It is computed for both patterns, and the smaller one counts. A small part of another grain in a pattern adds spots
    of low amplitude and does not change the result.
    """
    from scipy.stats import beta

    if min(len(first.weight), len(second.weight)) == 0:
        return Coincidence(np.nan, np.nan, np.nan, 0.0)
    alignment = _align_spots(first, second, np.radians(max_angle_deg))
    answers = []
    for own, other, position in (
        (first, second, alignment.apply(first.position)),
        (second, first, alignment.apply_inverse(second.position)),
    ):
        share = float(np.minimum(own.weight, _find_amplitudes(position, other)).sum() / own.weight.sum())
        count = float(own.weight.sum() ** 2 / np.sum(own.weight**2))
        border = (1 + _compute_chance(own, other)) * _LARGEST_SHARE
        chance = beta.sf(border, count * share + 0.5, count * (1 - share) + 0.5)
        answers.append(Coincidence(share, float(chance), float(np.degrees(alignment.angle)), count))
    return min(answers, key=lambda answer: answer.probability)


def turn_positions(position: Array, angle: float) -> Array:
    """Positions (y, x) turned by an angle [radian] about the direct beam, from +x towards +y."""
    sine, cosine = np.sin(angle), np.cos(angle)
    return position @ np.array([[cosine, -sine], [sine, cosine]])


def _align_spots(first: SpotList, second: SpotList, max_angle: float) -> Alignment:
    """Best rotation within ``max_angle`` [radian] and shift within a disk radius."""
    reach = float(np.linalg.norm(first.position, axis=1).max(initial=1.0))
    # A step moves the outermost spot by half a disk radius.
    steps = int(np.ceil(max_angle * reach / 0.5))
    best, highest = Alignment(0.0, np.zeros(2)), -1.0
    for angle in sorted(np.linspace(-max_angle, max_angle, 2 * steps + 1), key=abs):
        tried = _refine_alignment(Alignment(float(angle), np.zeros(2)), first, second)
        overlap = np.minimum(first.weight, _find_amplitudes(tried.apply(first.position), second)).sum()
        # Equally good ones: the smallest rotation, which is tried first.
        if abs(tried.angle) <= max_angle and overlap > highest * (1 + 1e-9):
            best, highest = tried, float(overlap)
    return best


def _refine_alignment(start: Alignment, first: SpotList, second: SpotList) -> Alignment:
    """Least-squares rotation and shift of the spots that have a neighbour within a disk radius."""
    found = start
    for _ in range(_ROUNDS):
        moved = found.apply(first.position)
        distance = np.linalg.norm(moved[:, None] - second.position, axis=2)
        nearest = distance.argmin(axis=1)
        close = distance[np.arange(len(moved)), nearest] < 1.0
        if close.sum() < 3:
            return found
        weight = np.minimum(first.weight[close], second.weight[nearest[close]])
        found = _fit_alignment(first.position[close], second.position[nearest[close]], weight)
        size = float(np.linalg.norm(found.shift))
        if size > _LARGEST_SHIFT:
            found = Alignment(found.angle, found.shift * (_LARGEST_SHIFT / size))
    return found


def _fit_alignment(source: Array, target: Array, weight: Array) -> Alignment:
    """Weighted least-squares rotation and shift between two lists of positions (spot, 2) (Kabsch)."""
    share = (weight / weight.sum())[:, None]
    middles = [(share * positions).sum(axis=0) for positions in (source, target)]
    a, b = source - middles[0], target - middles[1]
    weighted = share * a
    sine, cosine = np.sum(weighted[:, 1] * b[:, 0] - weighted[:, 0] * b[:, 1]), np.sum(weighted * b)
    angle = float(np.arctan2(sine, cosine))
    return Alignment(angle, middles[1] - turn_positions(middles[0], angle))


def _find_amplitudes(position: Array, pattern: SpotList) -> Array:
    """Amplitude of the pattern's spot within half a disk radius of each position, 0 where there is none."""
    places = np.concatenate([pattern.position, pattern.weak_position])
    amplitude = np.append(pattern.weight, pattern.weak_weight)
    near = np.linalg.norm(position[:, None] - places, axis=2) < 0.5
    return np.where(near, amplitude, 0.0).max(axis=1, initial=0.0)


def _compute_chance(own: SpotList, other: SpotList) -> float:
    """Probability that a place in the area of a pattern's spots lies on a spot of the other by chance."""
    reach = max(float(np.linalg.norm(spots, axis=1).max(initial=1.0)) for spots in (own.position, other.position))
    # Disks of half a radius around each spot, in a circle that reaches to the outermost.
    return min(len(other.position) * 0.25 / reach**2, 1.0)
