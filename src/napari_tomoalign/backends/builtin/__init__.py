"""The built-in engine: numba, from pip alone."""
