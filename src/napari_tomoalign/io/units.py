"""Units of length, as files spell them."""

from __future__ import annotations

__all__ = ["METRES"]

METRES = {
    "m": 1.0,
    "metre": 1.0,
    "meter": 1.0,
    "mm": 1e-3,
    "millimeter": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,
    "micron": 1e-6,
    "microns": 1e-6,
    "micrometer": 1e-6,
    "nm": 1e-9,
    "nanometer": 1e-9,
    "nanometre": 1e-9,
    "A": 1e-10,
    "angstrom": 1e-10,
    "Å": 1e-10,
    "pm": 1e-12,
}
