"""Are an assignment's outputs the baseline's? The one rule for all runners."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from pareto_profiler.core.plan import LARGEST
from pareto_profiler.errors import FailureKind, RunError
from pareto_profiler.runners.inputs import Array

# Float kernels of different backends sum in different orders.
_ROUNDING: Final = 1e-5
_TINY: Final = sys.float_info.min
_QUANTISED: Final = {"int8", "uint8", "int16"}


def largest_error(
    outputs: Sequence[Mapping[str, Any]], tolerance: float, kind: str = LARGEST
) -> float:
    """Largest error of any output, as a fraction of the reference's range.

    Args:
        outputs: One comparison each, as the driver answers it and :func:`compared` makes it.
        tolerance: How much is allowed, by its kind; see ``Plan``.
        kind: One of ``TOLERANCE_KINDS``.

    Raises:
        RunError: An output differs beyond the tolerance.
    """
    largest = 0.0
    for i, output in enumerate(outputs):
        span, error = float(output["reference_range"]), float(output["max_abs_error"])
        size = max(abs(float(output["min"])), abs(float(output["max"])))
        # Of a constant output there is no range, only its size.
        scale = span or size
        allowed = (
            tolerance * scale + _ROUNDING * size + (1.0 if output["dtype"] in _QUANTISED else 0.0)
        )
        if output["reference_bytes"] != output["bytes"]:
            what = f"has {output['bytes']} bytes, the baseline's has {output['reference_bytes']}"
        elif output["nonfinite_mismatches"]:
            what = f"has {output['nonfinite_mismatches']} NaN or infinite values of its own"
        elif kind != LARGEST and (words := _beyond(output, kind, tolerance)):
            what = words
        elif kind == LARGEST and error > allowed:
            what = (
                f"differs from the baseline's by up to {error:.3g}, {allowed:.3g} is allowed "
                f"(range of the baseline's {span:.3g}, tolerance {tolerance:g})"
            )
        else:
            largest = max(largest, error / (scale or 1.0))
            continue
        raise RunError(FailureKind.WRONG_OUTPUT, f"output {i} {what}")
    return largest


def _beyond(output: Mapping[str, Any], kind: str, tolerance: float) -> str:
    """In which way an output is beyond a tolerance of another kind; empty where it is not."""
    own, wanted = float(output["squares"]), float(output["reference_squares"])
    if kind == "top1":
        return "" if output["is_top1_same"] else "has its largest number elsewhere"
    if kind == "cosine":
        size = math.sqrt(own * wanted)
        cosine = float(output["dot"]) / size if size else float(own == wanted)
        short = f"has a cosine of {cosine:.6g} with the baseline's, at least {tolerance:g} is asked"
        return "" if cosine >= tolerance else short
    if kind == "l2":
        error = math.sqrt(float(output["difference_squares"]))
        relative = error / math.sqrt(wanted) if wanted else error
        far = (
            f"differs from the baseline's by {relative:.3g} of its length, {tolerance:g} is allowed"
        )
        return far if relative > tolerance else ""
    divergence = float(output["divergence"])
    far = f"diverges from the baseline's by {divergence:.3g} nats, {tolerance:g} is allowed"
    return far if divergence > tolerance else ""


def compared(output: Array, reference: Array) -> dict[str, Any]:
    """One output against its reference, as the driver would answer.

    Examples:
        >>> compared(np.float32([1, 2]), np.float32([1, 4]))["max_abs_error"]
        2.0
    """
    values, wanted = output.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    found: dict[str, Any] = {
        "dtype": str(output.dtype),
        "bytes": output.nbytes,
        "reference_bytes": reference.nbytes,
        "min": float(finite.min()) if finite.size else 0.0,
        "max": float(finite.max()) if finite.size else 0.0,
        "max_abs_error": 0.0,
        "reference_range": 0.0,
        "nonfinite_mismatches": 0,
        "dot": 0.0,
        "squares": 0.0,
        "reference_squares": 0.0,
        "difference_squares": 0.0,
        "is_top1_same": True,
        "divergence": 0.0,
    }
    if output.nbytes != reference.nbytes:
        return found
    both = np.isfinite(values) & np.isfinite(wanted)
    same = both | (np.isnan(values) & np.isnan(wanted)) | (values == wanted)
    known = wanted[np.isfinite(wanted)]
    found["nonfinite_mismatches"] = int(np.count_nonzero(~same))
    found["max_abs_error"] = float(np.abs(values[both] - wanted[both]).max(initial=0.0))
    found["reference_range"] = float(np.ptp(known)) if known.size else 0.0
    a, b = values[both], wanted[both]
    found |= {
        "dot": float(a @ b),
        "squares": float(a @ a),
        "reference_squares": float(b @ b),
        "difference_squares": float((a - b) @ (a - b)),
        "is_top1_same": not a.size or int(a.argmax()) == int(b.argmax()),
        "divergence": float((b[b > 0] * np.log(b[b > 0] / np.maximum(a[b > 0], _TINY))).sum()),
    }
    return found
