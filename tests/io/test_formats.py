"""What single formats say beside the images: angles, axes, pixels, bytes; and links."""

import json
import os

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile

from napari_tomoalign.io import ScanFileError, can_read, read_scan
from napari_tomoalign.io.hdf5_file import Hdf5File

STACK = np.random.default_rng(3).random((6, 8, 10)).astype(np.float32)
DEGREES = np.linspace(-50, 50, 6)
IMOD = 1146047817  # what IMOD writes into the header
KNOWN = {"angles": np.deg2rad(DEGREES), "background": None}


def degrees_of(scan):
    return np.rad2deg(scan.angles)


# --- MRC ---


def write_mrc(path, stack=STACK, **header):
    with mrcfile.new(path, data=stack) as file:
        for name, value in header.items():
            file.header[name] = value


def with_extended(path, kind, table, numbers):
    """Write an extended header; ``numbers`` are the two shorts at byte 128."""
    write_mrc(path)
    data = bytearray(path.read_bytes())
    raw = np.ascontiguousarray(table).tobytes()
    data[92:96] = len(raw).to_bytes(4, "little")
    data[104:108] = kind.ljust(4, b"\0")
    data[128:132] = np.array(numbers, "<i2").tobytes()
    path.write_bytes(bytes(data[:1024]) + raw + bytes(data[1024:]))


def serial_em(flags_size):
    table = np.zeros((6, flags_size // 2), "<i2")
    table[:, 0] = np.round(DEGREES * 100)
    return table


def reals(before, count):
    table = np.zeros((6, before + count), "<f4")
    table[:, before] = DEGREES
    return table


@pytest.mark.parametrize(
    ("kind", "table", "numbers"),
    [
        (b"SERI", serial_em(2), (2, 1)),
        (b"SERI", serial_em(14), (14, 1 | 2 | 4 | 8)),
        (b"", serial_em(12), (12, 1 | 2 | 4)),  # older, without a name
        (b"AGAR", reals(0, 5), (0, 5)),
        (b"AGAR", reals(2, 3), (2, 3)),
        (b"IMOD", reals(0, 1), (0, 1)),
    ],
)
def test_tilts_in_extended_headers(tmp_path, kind, table, numbers):
    with_extended(tmp_path / "a.mrc", kind, table, numbers)

    scan = read_scan(tmp_path / "a.mrc", background=None)

    np.testing.assert_allclose(degrees_of(scan), DEGREES, atol=1e-4)
    np.testing.assert_array_equal(scan.projections, STACK)
    assert "extended header" in scan.source["angles"]


def test_an_extended_header_of_nonsense_gives_no_angles(tmp_path):
    with_extended(tmp_path / "a.mrc", b"AGAR", np.full((6, 4), 1e9, "<f4"), (0, 4))

    with pytest.raises(ScanFileError, match="has no angles"):
        read_scan(tmp_path / "a.mrc")


@pytest.mark.parametrize(
    ("stamp", "flags", "dmax", "unsigned"),
    [(0, 0, 200, True), (0, 0, 100, False), (IMOD, 0, 100, True), (IMOD, 1, 200, False)],
)
def test_bytes_are_unsigned_where_the_header_says_so(tmp_path, stamp, flags, dmax, unsigned):
    values = (STACK * 200 + 20).astype("u1")
    write_mrc(tmp_path / "a.mrc", values.view("i1"), dmax=dmax)
    data = bytearray((tmp_path / "a.mrc").read_bytes())
    data[152:160] = np.array([stamp, flags], "<i4").tobytes()
    (tmp_path / "a.mrc").write_bytes(bytes(data))

    scan = read_scan(tmp_path / "a.mrc", **KNOWN)

    np.testing.assert_array_equal(scan.projections, values if unsigned else values.view("i1"))


@pytest.mark.parametrize(
    ("angle", "axis", "remark"),
    [
        (88.9, "horizontal", "taken as horizontal, and 1.1 degrees"),
        (-90.0, "horizontal", "taken as horizontal"),
        (2.0, "vertical", "taken as vertical"),
        (180.0, "vertical", "taken as vertical"),
        (60.0, "horizontal", "30 degrees off the horizontal, which is taken; turn the images"),
    ],
)
@pytest.mark.parametrize("place", ["label", "mdoc"])
def test_the_tilt_axis_is_taken_and_said(tmp_path, angle, axis, remark, place):
    write_mrc(tmp_path / "a.mrc")
    text = f"   Tilt axis angle = {angle}, binning = 1"
    if place == "label":
        with mrcfile.open(tmp_path / "a.mrc", mode="r+") as file:
            file.add_label(text)
    else:
        sections = "".join(f"[ZValue = {i}]\nTiltAngle = {a}\n" for i, a in enumerate(DEGREES))
        (tmp_path / "a.mrc.mdoc").write_text(f"[T = {text}]\n{sections}", encoding="utf-8")

    scan = read_scan(tmp_path / "a.mrc", **KNOWN)

    assert scan.rotation_axis == axis
    assert any(remark in line for line in scan.remarks)
    assert read_scan(tmp_path / "a.mrc", rotation_axis="vertical", **KNOWN).rotation_axis == (
        "vertical"
    )


# --- axes ---


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_of_the_angles_is_recognised_or_given(tmp_path, axis):
    np.save(tmp_path / "a.npy", np.moveaxis(STACK, 0, axis))

    scan = read_scan(tmp_path / "a.npy", lazy=True, **KNOWN)

    np.testing.assert_array_equal(scan.projections, STACK)
    np.testing.assert_array_equal(scan.projections[1:3, 2:5], STACK[1:3, 2:5])
    assert bool(scan.remarks) == (axis > 0)
    told = read_scan(tmp_path / "a.npy", angle_axis=axis, first_last=(0, 90))
    np.testing.assert_array_equal(told.projections, STACK)


def test_two_axes_of_the_right_length_are_a_question(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 6, 6), np.float32))

    with pytest.raises(ScanFileError, match=r"--angle-axis N\), N one of \[1, 2\]"):
        read_scan(tmp_path / "a.npy", **KNOWN)


def test_a_stopped_scan_is_refused_with_the_remedy(tmp_path):
    np.save(tmp_path / "a.npy", STACK[:4])

    with pytest.raises(ScanFileError, match=r"4 projections but 6 angles .*--angles-from-start"):
        read_scan(tmp_path / "a.npy", **KNOWN)

    scan = read_scan(tmp_path / "a.npy", angles_from_start=True, **KNOWN)
    np.testing.assert_allclose(degrees_of(scan), DEGREES[:4])


# --- HyperSpy, EMD, OME ---


def test_hyperspy(tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = file.create_group("Experiments/needle")
        group["data"] = STACK
        axes = (
            ("Tilt", 6, 20.0, -50.0, "degrees"),
            ("y", 8, 2.5, 0, "nm"),
            ("x", 10, 2.5, 0, "nm"),
        )
        for at, (name, size, scale, offset, units) in enumerate(axes):
            axis = group.create_group(f"axis-{at}")
            axis.attrs.update(
                {"name": name, "size": size, "scale": scale, "offset": offset, "units": units}
            )

    scan = read_scan(tmp_path / "a.hspy", background=None)

    np.testing.assert_allclose(degrees_of(scan), -50 + 20 * np.arange(6))
    np.testing.assert_array_equal(scan.projections, STACK)
    assert scan.pixel_size == pytest.approx(2.5)
    assert scan.pixel_unit == "nm"


def test_tomvizs_emd_has_the_angles_last_and_the_axis_along_x(tmp_path):
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("data/tomography")
        group.attrs["emd_group_type"] = 1
        group["data"] = STACK.transpose(2, 1, 0)  # x, y, angle
        for name, values, label, unit in (
            ("dim1", 2.5 * np.arange(10), "x", "[n_m]"),
            ("dim2", 2.5 * np.arange(8), "y", "[n_m]"),
            ("dim3", DEGREES, "angles", "[deg]"),
        ):
            group[name] = values
            group[name].attrs.update({"name": label, "units": unit})

    scan = read_scan(tmp_path / "a.emd", background=None)

    np.testing.assert_allclose(degrees_of(scan), DEGREES)
    assert scan.rotation_axis == "horizontal"
    np.testing.assert_array_equal(scan.projections, STACK.swapaxes(1, 2))
    assert scan.pixel_size == pytest.approx(2.5)


def test_veloxs_emd(tmp_path):
    texts = np.zeros((200, 6), np.uint8)
    for at, angle in enumerate(DEGREES):
        said = {
            "Stage": {"AlphaTilt": str(np.deg2rad(angle))},
            "BinaryResult": {"PixelSize": {"width": "1.5e-9"}},
        }
        raw = json.dumps(said).encode()
        texts[: len(raw), at] = list(raw)
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["Data/Image/abc/Data"] = STACK.transpose(1, 2, 0)
        file["Data/Image/abc/Metadata"] = texts

    scan = read_scan(tmp_path / "a.emd", background=None)

    np.testing.assert_allclose(degrees_of(scan), DEGREES)
    np.testing.assert_array_equal(scan.projections, STACK)
    assert scan.pixel_size == pytest.approx(1.5)


def test_imagej_axes_and_pixels(tmp_path):
    channels = np.stack([STACK, 2 * STACK], axis=1)
    tifffile.imwrite(
        tmp_path / "a.tif", channels, imagej=True, resolution=(4, 4),
        metadata={"axes": "TCYX", "unit": "um"},
    )  # fmt: skip

    scan = read_scan(tmp_path / "a.tif", **KNOWN)

    np.testing.assert_array_equal(scan.projections, np.moveaxis(channels, 1, -1))
    assert scan.pixel_size == pytest.approx(250)


def test_ome_tiff_pixels(tmp_path):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)

    scan = read_scan(tmp_path / "a.ome.tif", **KNOWN)

    np.testing.assert_array_equal(scan.projections, STACK)
    assert scan.pixel_size == pytest.approx(500)


@pytest.mark.parametrize("place", ["0.4", "0.5"])
def test_ome_ngff_of_five_dimensions(tmp_path, place):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    whole, half = np.stack([STACK, 2 * STACK])[None], STACK[None, None, :, ::2, ::2]
    for name, values in (("s0", whole), ("s1", half)):
        group.create_array(name, shape=values.shape, dtype=values.dtype)[:] = values
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "tczyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1, 0.25, 0.25]}]
    levels = [{"path": p, "coordinateTransformations": scale} for p in ("s0", "s1")]
    said = {"multiscales": [{"axes": axes, "datasets": levels}]}
    group.attrs.update(said if place == "0.4" else {"ome": said})

    scan = read_scan(tmp_path / "a.zarr", **KNOWN)

    np.testing.assert_array_equal(scan.projections, np.stack([STACK, 2 * STACK], axis=-1))
    assert scan.pixel_size == pytest.approx(250)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"Xradia \.txrm .* dxchange"),
        (b"\x00\x00\x00\x03\x00\x00", r"\.dm3 file.* hyperspy.*\.hspy"),
        (b"\x49\x49\x97\x01", r"\.ser file.* hyperspy"),
        (b"\x89PNG\r\n", "PNG image.* folder"),
    ],
)
def test_formats_of_instruments_get_a_sentence(tmp_path, head, words):
    (tmp_path / "a.bin").write_bytes(head + bytes(2000))

    assert not can_read(tmp_path / "a.bin")
    with pytest.raises(ScanFileError, match=words):
        read_scan(tmp_path / "a.bin")


# --- links ---


def test_a_dataset_of_the_same_name_in_the_master_file_is_not_taken(tmp_path):
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["entry/data"] = STACK
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["exchange/data"] = h5py.ExternalLink("raw.h5", "/entry/data")
        file["exchange/theta"] = DEGREES
        file["entry/data"] = np.zeros_like(STACK)

    scan = read_scan(tmp_path / "master.h5", background=None)

    np.testing.assert_array_equal(scan.projections, STACK)
    assert scan.source["data"].startswith("/exchange/data, 6 x 8 x 10")


def test_soft_links_and_links_over_several_files(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["x"] = STACK
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["y"] = h5py.ExternalLink("c.h5", "x")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["z/w"] = h5py.ExternalLink("b.h5", "/y")
        file["exchange/data"] = h5py.SoftLink("/z/w")
        file["exchange/theta"] = DEGREES

    np.testing.assert_array_equal(read_scan(tmp_path / "a.h5", background=None).projections, STACK)


def test_links_in_a_circle_and_to_nothing(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"] = h5py.SoftLink("/two")
        file["two"] = h5py.SoftLink("/one")
        file["three"] = h5py.SoftLink("/nowhere")
        file["group/inside"] = file["/"]  # a circle of hard links
        file["stack"] = STACK
    with Hdf5File(tmp_path / "a.h5") as file:
        with pytest.raises(ScanFileError, match="the link /one leads in a circle"):
            file.find("/one")
        with pytest.raises(ScanFileError, match=r"/three leads to /nowhere .* not there"):
            file.find("/three")
        assert [one.name for one in file.walk()] == ["/stack"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_link_to_a_pipe_or_a_device_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pipe"] = h5py.ExternalLink("pipe.h5", "/x")
        file["device"] = h5py.ExternalLink("/dev/zero", "/x")
    for name in ("/pipe", "/device"):
        with pytest.raises(ScanFileError, match="is no regular file"):
            read_scan(tmp_path / "a.h5", data=name)


def test_the_hint_names_what_can_be_meant(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["img_white"], file["img"], file["rotation"] = STACK[:2], STACK, DEGREES
        file["image_key"], file["other"] = np.zeros(6, int), np.arange(50)

    with pytest.raises(ScanFileError) as caught:
        read_scan(tmp_path / "a.h5")

    said = str(caught.value)
    assert "--data /img --angles /rotation --flats /img_white --keys /image_key" in said
    assert "/other" not in said
