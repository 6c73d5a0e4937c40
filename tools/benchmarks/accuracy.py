"""The error columns. Numpy only."""

import numpy as np

FLOOR = 1e-4  # |F(x) - F(0)| counts as at least this share of the larger of both


def errors(attributions, reference):
    """Per example: completeness and attribution error.

    Args:
      attributions: [examples, ...].
      reference: {attributions [examples, ...], start [examples], end [examples]}: F at the baseline
        and at x, and the exact attributions.

    Returns:
      {"completeness": |sum - (F(x) - F(0))| / |F(x) - F(0)|,
       "attribution": sum |a - reference| / sum |reference|}, [examples] each.
    """
    flat = np.reshape(np.asarray(attributions, np.float64), [len(attributions), -1])
    exact = np.reshape(np.asarray(reference["attributions"], np.float64), flat.shape)
    start, end = reference["start"], reference["end"]
    floor = FLOOR * np.maximum(np.abs(start), np.abs(end))
    change = np.maximum(np.abs(end - start), floor)
    return {"completeness": np.abs(flat.sum(1) - (end - start)) / change,
            "attribution": np.abs(flat - exact).sum(1) / np.abs(exact).sum(1)}


def summary(values):
    """{"median", "p95"} of some examples' errors."""
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}


def disagreement(scores, expected):
    """Largest difference of two models' outputs, relative to the largest output."""
    scores, expected = np.ravel(scores).astype(np.float64), np.ravel(expected)
    if scores.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(scores - expected)) / np.max(np.abs(expected)))
