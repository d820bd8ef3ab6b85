"""Times as people read them."""


def spread(seconds):
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    at = lambda part: 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))]
    return f"median {at(0.5):7.2f} ms   99th percentile {at(0.99):7.2f} ms   of {len(ordered)}"


def median(seconds):
    return sorted(seconds)[len(seconds) // 2]
