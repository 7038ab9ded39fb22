"""How the numba kernels may round: the same in whatever order things are compiled."""

__all__ = ["FAST"]

FAST = {"contract", "nnan", "ninf", "nsz"}
"""Fast arithmetic without re-association, so that a run which compiles the kernels, one that finds
them compiled, and any number of threads agree to the bit."""
