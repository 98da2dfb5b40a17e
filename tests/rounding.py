"""Tolerances that follow from the arithmetic, for tests that compare two ways to the same numbers.

A number in a precision of ``EPSILON`` is known to half of that, relative to itself. A sum of n terms of one sign, taken
in any order, is known to about sqrt(n) halves where the roundings are independent, and never worse than n of them
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sec. 4.2; Higham and Mary, SIAM J. Sci. Comput. 41
(2019) A2815). ``SURE`` is the number of standard deviations after which no test fails by chance.
"""

import numpy as np

EPSILON = float(np.finfo(np.float32).eps)
EPSILON_DOUBLE = float(np.finfo(np.float64).eps)
SURE = 8.0


def of_sum(n: int, *, epsilon: float = EPSILON) -> float:
    """Relative difference that two orders of summing n numbers of one sign may make."""
    return SURE * epsilon * max(float(n), 1.0) ** 0.5
