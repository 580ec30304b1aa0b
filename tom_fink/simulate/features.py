"""Light-curve features that Fink computes, for the simulated alerts."""

import math
from collections.abc import Sequence

import numpy as np

from .schemas import LC_FEATURES


def lc_features(values: Sequence[float]) -> dict[str, float]:
    """Features of one band's values (magnitudes or nJy): a few are computed, the rest are NaN.

    NaN is also what Fink sends for most features of a short light curve.
    """
    features = dict.fromkeys(LC_FEATURES.split(), math.nan)
    if not values:
        return features
    data = np.asarray(values, dtype=float)
    mean, median = float(data.mean()), float(np.median(data))
    features |= {
        "mean": mean,
        "weighted_mean": mean,
        "median": median,
        "amplitude": float(np.ptp(data)) / 2,
        "median_absolute_deviation": float(np.median(np.abs(data - median))),
    }
    if len(data) > 1:
        deviation = float(data.std(ddof=1))
        features |= {
            "standard_deviation": deviation,
            "beyond_1_std": float(np.mean(np.abs(data - mean) > deviation)),
        }
    return features
