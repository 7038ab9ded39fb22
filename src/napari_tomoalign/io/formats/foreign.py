"""Formats of instruments that are not read here: told by their first bytes, and what to do."""

from __future__ import annotations

__all__ = ["advice"]

_HYPERSPY = (
    "convert it with HyperSpy (pip install hyperspy): "
    "hyperspy.api.load({path!r}).save('scan.hspy'), and open scan.hspy"
)
_XRADIA = (
    "convert it with dxchange (dxchange.read_txrm gives data and angles: save them as scan.npz "
    "with projections= and angles=), or export TIFF from the microscope's own program"
)
_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Zeiss Xradia .txrm or .xrm file", _XRADIA),
    (b"\x00\x00\x00\x03", "a Gatan DigitalMicrograph .dm3 file", _HYPERSPY),
    (b"\x00\x00\x00\x04", "a Gatan DigitalMicrograph .dm4 file", _HYPERSPY),
    (b"\x49\x49\x97\x01", "a TIA .ser file", _HYPERSPY),
    (b"JSON-HEADER", "a JEOL file", _HYPERSPY),
    (b"\x0e\x03\x13\x01", "an HDF4 file", "convert it to HDF5 with h4toh5"),
    (b"SIMPLE  =", "a FITS file", "convert it with astropy: numpy.save('scan.npy', fits data)"),
    (b"\x89PNG", "a PNG image", "save the images as TIFF in one folder and open the folder"),
    (b"\xff\xd8\xff", "a JPEG image", "save the images as TIFF in one folder and open the folder"),
    (b"{\n", "an ESRF .edf file", "convert it with fabio to a folder of TIFF images"),
    (b"{\r\n", "an ESRF .edf file", "convert it with fabio to a folder of TIFF images"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it, and open what is in it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it with gunzip"),
)


def advice(path: str, head: bytes) -> str | None:
    """Return what a file is and how its contents can be read here, or None where it is unknown."""
    for first, what, how in _KNOWN:
        if head.startswith(first):
            return f"{path} is {what}, which is not read here; {how.format(path=path)}"
    return None
