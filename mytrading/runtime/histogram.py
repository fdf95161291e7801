"""A histogram of durations in fixed memory: sixteen buckets to each power of two of nanoseconds.

Used by `runtime.metrics`. A percentile is the middle of its bucket, so it is within 3.2 % of the true value; count,
sum, least and greatest are exact. The one rule: bucket numbers stand in snapshot files, so their meaning is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping

SUB_BITS = 4
SUB = 1 << SUB_BITS
MAX_NS = (1 << 42) - 1
BUCKETS = (42 - SUB_BITS + 1) * SUB


def bucket_of(ns: int) -> int:
    """The bucket of a duration; over 73 minutes counts as 73 minutes, below nothing as nothing."""
    if ns < SUB:
        return max(ns, 0)
    ns = min(ns, MAX_NS)
    shift = ns.bit_length() - SUB_BITS - 1
    return (shift << SUB_BITS) + (ns >> shift)


def middle_of(bucket: int) -> float:
    """The duration in the middle of a bucket, in ns."""
    if bucket < 2 * SUB:
        return float(bucket)
    shift = (bucket >> SUB_BITS) - 1
    low = (bucket - (shift << SUB_BITS)) << shift
    return low + (1 << shift) / 2


def percentile(buckets: Mapping[int, int], count: int, fraction: float) -> float:
    """The duration (ns) that `fraction` of `count` values do not exceed; 0.0 without values."""
    rank = max(1, round(fraction * count))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return middle_of(bucket)
    return 0.0
