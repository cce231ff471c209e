"""Numbers as a reader wants them: three digits, more where the error is smaller than that, and no nonsense."""

from __future__ import annotations

import math
import re


def number(value: float, perfect: float = 0.0) -> str:
    """A score as text: `0.824`, `-1.55`, `12.3`, `-1.2e9`, `diverged` (infinite), `undefined` (NaN).

    Where perfection is not 0, small values are not small errors and stay plain (`-0.0004`), and values next to
    perfection get as many digits as tell them from it (`0.99996`).
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "diverged"
    if value == 0:
        return "0"
    perfect = perfect if math.isfinite(perfect) else 0.0
    size = abs(value)
    if size >= 1e4 or (size < 1e-3 and not perfect):
        return re.sub(r"e([+-])0*(\d+)", lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:.1e}")
    decimals = 2 - math.floor(math.log10(float(f"{size:.2e}")))  # 0.09999 is 0.100, not 0.1000
    if perfect and size < 10:
        decimals = 2 if size >= 1 else 3 if size >= 1e-3 else 4
        gap = abs(perfect - value)
        if 0 < gap < 0.5 * 10.0**-decimals:
            decimals = min(-math.floor(math.log10(gap)), 9)
    # Adding 0 turns a rounded -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"


def tick(value: float) -> str:
    """A round number beside an axis: `0.05`, `2000`, `3e-5`, `1e6`."""
    if value == 0 or 1e-3 <= abs(value) * (1 + 1e-9) < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def lead_text(horizon: str) -> str:
    """A lead time of metrics.csv as a reader wants it: `0.0167` for `0.0166667`."""
    value = float(horizon)
    return f"{value:.3g}" if abs(value) < 999 else horizon


def interval(low: float, high: float, perfect: float = 0.0) -> str:
    """`[0.812, 0.836]`; "" where there is none or where it is a point, as it is of a single simulation."""
    if math.isnan(low) or math.isnan(high) or math.isclose(low, high, rel_tol=1e-9):
        return ""
    ends = ("-∞" if end == -math.inf else "∞" if end == math.inf else number(end, perfect) for end in (low, high))
    return f"[{', '.join(ends)}]"


def percent(share: float) -> str:
    """A share as text, `76 %`; one digit more next to the ends, which are only for what is exactly there."""
    if not math.isfinite(share):
        return number(share)
    hundred = 100 * share
    near_an_end = 0 < share < 0.02 or 0.98 < share < 1
    return f"{min(hundred, 99.9):.1f}\u00a0%" if near_an_end else f"{hundred:.0f}\u00a0%"


def size(count: int) -> str:
    """Bytes as text: `830 B`, `41.2 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as text: `0.04 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
