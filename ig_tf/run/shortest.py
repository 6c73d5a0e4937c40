"""The shortest decimals that give a float32 back, for many at once.

NumPy finds them one by one, by way of text. Most numbers need no more than float64 arithmetic: of 6
to 9 digits the fewest that give the number back. What that cannot tell exactly NumPy is asked.
"""

import numpy as np

_DIGITS = (9, 8, 7, 6)  # of float32: 9 are always enough, and fewer than 6 end in zeros
_POWERS = 10.0 ** np.arange(-22, 23)  # which float64 holds exactly from 1 on
_LEAST, _MOST = 1e-12, 1e15  # so that no more of them are needed
_CLOSE = 1e-5  # to a half, in units of the last digit: far more than the arithmetic is off


def decimals(array):
    """The float64 that reads as the shortest decimal of each number of an array.

    Args:
      array: of floats of less than 64 bits, any shape.
    """
    if array.dtype != np.float32:
        return _by_text(array)
    flat = array.ravel()
    values = flat.astype(np.float64)
    sizes = np.abs(values)
    simple = (sizes > _LEAST) & (sizes < _MOST) & (np.frexp(sizes)[0] != 0.5)
    scale = np.floor(np.log10(np.where(simple, sizes, 1.0))).astype(np.int64)
    found = values.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        for digits in _DIGITS:
            shift = digits - 1 - scale
            up, down = _POWERS[22 + np.maximum(shift, 0)], _POWERS[22 + np.maximum(-shift, 0)]
            shifted = values * up / down
            whole = np.rint(shifted)
            rounded = whole * down / up
            gives = simple & (rounded.astype(np.float32) == flat)
            simple &= ~gives | (np.abs(np.abs(shifted - whole) - 0.5) > _CLOSE)
            found = np.where(gives, rounded, found)
    rest = ~simple & (values != 0)
    if rest.any():
        found[rest] = _by_text(flat[rest])
    return found.reshape(array.shape)


def _by_text(array):
    return array.astype("U32").astype(np.float64)
