"""The manifest and what it contributes: readers, the writer, samples, menus."""

import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from npe2 import PluginManifest, read, write

from napari_tomoalign import alignment_error
from napari_tomoalign.io import read_shifts, write_scan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugin(npe2pm):
    with npe2pm.tmp_plugin(package="napari-tomoalign") as manifest:
        yield manifest


def test_npe2_validate_passes_and_all_imports():
    from npe2.cli import app
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["validate", "napari-tomoalign", "--imports"])
    assert done.exit_code == 0, done.output
    manifest = PluginManifest.from_distribution("napari-tomoalign")
    assert manifest.display_name == "Tomography alignment"


def test_the_wheel_holds_the_manifest(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.read("napari_tomoalign/napari.yaml")
        entries = archive.read(
            next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        ).decode()
    assert inside == (ROOT / "napari.yaml").read_bytes()
    assert "napari-tomoalign = napari_tomoalign:napari.yaml" in entries


def test_the_menu_opens_the_widget(plugin, make_napari_viewer, qtbot):
    from napari._app_model import get_app_model

    from napari_tomoalign._napari._widget import AlignmentWidget

    viewer = make_napari_viewer()
    menu = get_app_model().menus.get_menu("napari/layers/register")
    assert "napari-tomoalign.widget" in [item.command.id for item in menu]
    get_app_model().commands.execute_command("napari-tomoalign.widget").result()
    (widget,) = viewer.window._qt_window.findChildren(AlignmentWidget)
    qtbot.waitUntil(lambda: widget.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    widget.close_down()


@pytest.mark.parametrize(("key", "shape"), [("small", (60, 64, 64)), ("medium", (180, 128, 128))])
def test_samples_carry_angles_and_truth(plugin, windowless, key, shape):
    (layer,) = windowless.open_sample("napari-tomoalign", key)
    assert layer.data.shape == shape
    assert layer.metadata["angles"].shape == shape[:1]
    assert layer.metadata["true_shifts"].shape == (shape[0], 2)


def test_a_data_exchange_file_is_opened(plugin, windowless, phantom, tmp_path):
    path = write_scan(
        tmp_path / "scan.h5",
        phantom.projections,
        phantom.angles,
        pixel_size=0.65,
        pixel_unit="um",
    )
    (layer,) = windowless.open(path, plugin="napari-tomoalign")
    np.testing.assert_allclose(layer.data, phantom.projections, atol=1e-6)
    np.testing.assert_allclose(layer.metadata["angles"], phantom.angles)
    np.testing.assert_allclose(layer.scale, (1, 0.65, 0.65))
    assert str(layer.units[2]) == "micrometer"
    assert layer.name == "scan"


def test_a_large_file_stays_on_disk(plugin, windowless, phantom, tmp_path, monkeypatch):
    from napari_tomoalign._plugin import readers

    monkeypatch.setattr(readers, "IN_MEMORY", 1000)
    path = write_scan(tmp_path / "scan.h5", phantom.projections, phantom.angles)
    (layer,) = windowless.open(path, plugin="napari-tomoalign")
    assert not isinstance(layer.data, np.ndarray)
    windowless.dims.set_point(0, 7)
    np.testing.assert_allclose(layer._slice.image.raw, phantom.projections[7], atol=1e-6)
    np.testing.assert_allclose(np.asarray(layer.data), phantom.projections, atol=1e-6)


def test_an_nxtomo_file_is_opened(plugin, windowless, phantom, tmp_path):
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = "NXtomo"
        detector = entry.create_group("instrument/detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector["data"] = phantom.projections
        detector["image_key"] = np.zeros(len(phantom.angles), dtype=int)
        sample = entry.create_group("sample")
        sample.attrs["NX_class"] = "NXsample"
        sample["rotation_angle"] = np.degrees(phantom.angles)
        sample["rotation_angle"].attrs["units"] = "degree"
    (layer,) = windowless.open(path, plugin="napari-tomoalign")
    assert layer.data.shape == phantom.projections.shape
    np.testing.assert_allclose(layer.metadata["angles"], phantom.angles)


def test_an_mrc_file_is_opened_with_its_tilts(plugin, windowless, phantom, tmp_path):
    path = tmp_path / "series.mrc"
    with mrcfile.new(path) as file:
        file.set_data(phantom.projections)
        file.voxel_size = 20.0
    np.savetxt(tmp_path / "series.rawtlt", np.degrees(phantom.angles))
    (layer,) = windowless.open(path, plugin="napari-tomoalign")
    assert layer.data.shape == phantom.projections.shape
    np.testing.assert_allclose(layer.metadata["angles"], phantom.angles, atol=1e-6)


@pytest.fixture
def images(phantom, tmp_path):
    """A folder of TIFFs without angles."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(phantom.projections):
        tifffile.imwrite(folder / f"image_{index:04d}.tif", image)
    return folder


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_of_tiffs_is_opened_with_the_angles_beside_it(
    plugin, windowless, phantom, images, tmp_path, inside
):
    angles = (images if inside else tmp_path) / "tilts.txt"
    np.savetxt(angles, np.degrees(phantom.angles), fmt="%.4f")
    (layer,) = windowless.open(images, plugin="napari-tomoalign")
    np.testing.assert_allclose(layer.data, phantom.projections, atol=1e-6)
    np.testing.assert_allclose(layer.metadata["angles"], phantom.angles, atol=1e-5)
    assert any("tilts.txt" in line for line in layer.metadata["preparation"])


def test_numpy_and_tiff_stacks_with_angles_beside_them_are_opened(
    plugin, windowless, phantom, tmp_path
):
    np.savetxt(tmp_path / "angles.txt", np.degrees(phantom.angles), fmt="%.4f")
    np.save(tmp_path / "scan.npy", phantom.projections)
    tifffile.imwrite(tmp_path / "scan.tif", phantom.projections)
    for name in ("scan.npy", "scan.tif"):
        (layer,) = windowless.open(tmp_path / name, plugin="napari-tomoalign")
        np.testing.assert_allclose(layer.metadata["angles"], phantom.angles, atol=1e-5)


def test_what_may_be_no_scan_is_left_to_others(images, tmp_path, phantom):
    from napari_tomoalign._plugin.readers import get_reader

    np.save(tmp_path / "array.npy", phantom.projections)
    (tmp_path / "notes.txt").write_text("no numbers here", encoding="utf-8")
    for path in (images, tmp_path / "array.npy", next(images.iterdir())):
        assert get_reader(str(path)) is None


def test_other_files_are_left_to_others(plugin, tmp_path):
    path = tmp_path / "something.h5"
    path.write_bytes(b"no HDF5 at all")
    with pytest.raises(ValueError, match="refused the file"):
        read([str(path)], stack=False, plugin_name="napari-tomoalign")


def test_the_writer_writes_the_shifts_of_a_layer(plugin, windowless, phantom, tmp_path):
    from napari_tomoalign import align, show_in

    result = align(
        phantom.projections, phantom.angles, callback=show_in(windowless), progress=False
    )
    path = tmp_path / "found.h5"
    layer = windowless.layers["reference"].as_layer_data_tuple()
    assert write(str(path), [layer], plugin_name="napari-tomoalign") == [str(path)]
    file = read_shifts(path)
    np.testing.assert_array_equal(file.shifts, result.shifts)
    assert len(file.history) == len(result.history)
    assert alignment_error(file, phantom) < 0.1


def test_the_writer_refuses_a_layer_without_shifts(tmp_path):
    from napari_tomoalign._plugin.writer import write_shifts_of_layer

    with pytest.raises(ValueError, match="'cat' carries no shifts: select the layer 'reference'"):
        write_shifts_of_layer(str(tmp_path / "a.h5"), np.zeros(3), {"name": "cat"})
