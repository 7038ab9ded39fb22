"""A small stack and its angles, for files of every kind."""

import numpy as np

STACK = np.random.default_rng(11).random((8, 10, 12)).astype(np.float32)
DEGREES = np.linspace(-70.0, 70.0, 8)
ANGLES = np.linspace(0, 3, 8)
"""Radians."""
