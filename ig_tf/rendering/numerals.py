"""Numbers and input values as people read them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

MINUS = "\u2212"
_SHOWN = 6


def plain(value: float | None) -> str:
    """Four digits, such as "0.9312"; a dash where there is no number."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    return f"{value:.4g}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """As `plain`, with a plus sign on what is above zero."""
    text = plain(value)
    return "+" + text if value is not None and value > 0 else text


def percent(share: float | None) -> str:
    """A share as a percentage with two digits, such as "1.2 %"."""
    if share is None or not math.isfinite(share):
        return plain(share)
    if 0 < abs(share) < 1e-4:
        return "< 0.01 %"
    text = f"{100 * share:.2g}" if abs(share) < 1 else f"{100 * share:,.0f}"
    return text.replace("-", MINUS) + " %"


def counted(count: int, what: str) -> str:
    """A number of things, such as "1 example" or "1,200 examples"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def exact(value: Any) -> str:
    """All digits of a float, in its own precision."""
    return np.format_float_positional(value, trim="-") if 1e-5 < abs(value) < 1e15 else str(value)


def value_text(value: Any) -> str:
    """What a caller sent, in a few words: a number, the text, or the first items and a count."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return _mapping_text(value)
    if isinstance(value, (bool, int, str)):
        return str(value)
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, np.generic):
        return value_text(value.item())
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value_text(value.item())
    if isinstance(value, (list, tuple, np.ndarray)):
        return _list_text(value)
    return str(value)


def _mapping_text(value: Mapping) -> str:
    if "base64" not in value:
        return ", ".join(f"{key}: {value_text(v)}" for key, v in list(value.items())[:_SHOWN])
    kilobytes = max(1, round(len(str(value["base64"])) * 3 / 4 / 1000))
    return f"{value.get('media', 'bytes')}, {kilobytes:,} kB"


def _list_text(value: Any) -> str:
    if len(value) == 1:
        return value_text(value[0])
    shape = np.shape(value) if isinstance(value, np.ndarray) else (len(value),)
    if len(shape) > 1 or any(isinstance(v, (list, tuple, Mapping)) for v in value[:_SHOWN]):
        return "array [" + ", ".join(map(str, shape if len(shape) > 1 else _depths(value))) + "]"
    shown = ", ".join(value_text(v) for v in value[:_SHOWN])
    return shown if len(value) <= _SHOWN else f"{shown}, … ({len(value):,} values)"


def _depths(value: Any) -> list[int]:
    """Lengths along the first items of nested lists."""
    lengths = []
    while isinstance(value, (list, tuple)):
        lengths.append(len(value))
        value = value[0] if len(value) else None
    return lengths
