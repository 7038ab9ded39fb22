"""Files as people have them: each gives what its makers meant, or a question, never nonsense.

The files of the project's own collection are made by a script that knows nothing of this program,
and that says what must come out; where it is not at hand, these tests are skipped.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign.cli import main
from napari_tomoalign.io import ScanFileError, read_scan

MAKER = Path(__file__).parents[3] / "shared" / "cases" / "make_files.py"

pytestmark = pytest.mark.skipif(
    not MAKER.is_file(), reason=f"the script that makes the files is not at {MAKER}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    subprocess.run([sys.executable, MAKER, made], check=True)
    return made


@pytest.fixture(scope="module")
def expected(folder):
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def truth(folder):
    with np.load(folder / "truth.npz") as file:
        return dict(file)


def degrees_of(scan):
    return np.rad2deg(scan.angles)


@pytest.mark.parametrize(
    "name",
    [
        "link.h5",
        "nx_nested.nxs",
        "nx_detector_name.nxs",
        "nx_control.nxs",
        "dx_rotation.h5",
        "dx_wedge.h5",
        "dx_turns.h5",
        "elements.h5",
        "time_order.mrc",
        "angle_order.mrc",
    ],
)
def test_opens_as_it_is(folder, expected, name):
    wanted = expected[name]

    scan = read_scan(folder / name)

    count = wanted.get("frames", len(wanted.get("angles", [])) or len(scan.angles))
    assert len(scan.projections) == len(scan.angles) == count
    if "angles" in wanted:
        np.testing.assert_allclose(degrees_of(scan), wanted["angles"], atol=1e-3)
    assert list(scan.channels) == wanted.get("channels", [])


@pytest.mark.parametrize("name", ["nx_nested.nxs", "nx_detector_name.nxs", "nx_control.nxs"])
def test_counts_of_nexus_become_the_line_integrals(folder, name):
    reference = read_scan(folder / "raw.h5", data="/entry/data/data", first_last=(0, 1))

    scan = read_scan(folder / name)

    lines = reference.projections / reference.projections.max()
    np.testing.assert_allclose(scan.projections, lines, atol=2e-3)  # counts of 20000, rounded


def test_degrees_beyond_two_turns_are_the_same_directions(folder, truth):
    angles = read_scan(folder / "dx_turns.h5").angles

    there = np.deg2rad(truth["degrees"] + 1000)
    np.testing.assert_allclose(np.exp(1j * angles), np.exp(1j * there), atol=1e-9)
    assert np.abs(angles).max() < 4 * np.pi


def test_a_dangling_link_is_named(folder):
    with pytest.raises(ScanFileError, match=r"/exchange/data_white .*gone\.h5, which is not there"):
        read_scan(folder / "link_dangling.h5")


def test_of_two_entries_one_is_chosen_with_its_angles(folder, truth):
    with pytest.raises(ScanFileError, match=r"holds 2 scans: .*entry0000.*entry0001"):
        read_scan(folder / "nx_two.nxs")

    scan = read_scan(folder / "nx_two.nxs", data="/entry0001/instrument/detector/data")

    np.testing.assert_allclose(degrees_of(scan), truth["degrees"] / 2)
    assert "flats" in scan.source


def test_the_hint_of_an_unknown_layout_opens_it(folder, truth, capsys):
    with pytest.raises(ScanFileError) as caught:
        read_scan(folder / "flat_layout.h5")
    options = str(caught.value).rpartition("(on the command line ")[2].rstrip(")").split()

    assert main(["info", str(folder / "flat_layout.h5"), *options]) == 0

    said = capsys.readouterr().out
    assert "40 projections of 20 x 48" in said
    assert "/img_bkg" in said
    assert "/img_dark" in said
    assert "0 to 175.5 degrees" in said


def test_sinograms_are_turned_and_it_is_said(folder):
    scan = read_scan(folder / "sinograms.h5")

    expected = read_scan(folder / "link.h5")
    np.testing.assert_array_equal(scan.projections, expected.projections)
    assert any("row, angle, column" in remark for remark in scan.remarks)


@pytest.mark.parametrize("name", ["golden", "signed", "flatworm", "middle"])
def test_images_of_a_folder_are_in_the_order_of_the_scan(folder, name):
    angles = folder / f"{name}.txt"
    options = {"angles": angles} if angles.exists() else {"first_last": (0, 175.5)}

    scan = read_scan(folder / name, **options)

    assert len(scan.projections) == 40
    if name != "middle":  # image i has i added to a scan
        levels = np.median(scan.projections, axis=(1, 2))
        assert np.all(np.diff(levels) > 0.4)
    else:
        assert {"flats", "darks"} <= set(scan.source)


def test_angles_in_names_are_offered_and_taken(folder, truth):
    with pytest.raises(ScanFileError, match=r"names .* -60 to 60, .*--angles-from-names"):
        read_scan(folder / "signed")

    scan = read_scan(folder / "signed", angles_from_names=True)

    np.testing.assert_allclose(degrees_of(scan), np.linspace(-60, 60, 40), atol=0.051)


def test_missing_images_are_named_where_angles_are_spread(folder):
    with pytest.warns(UserWarning, match="the images 7-9, 23 are missing"):
        scan = read_scan(folder / "gap", first_last=(0, 175.5))

    assert any("7-9, 23 are missing" in remark for remark in scan.remarks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_scan(folder / "gap", angles=np.arange(36) / 20)


@pytest.mark.parametrize(
    "name",
    ["a_header.csv", "a_comma.txt", "a_bom.txt", "a_line.txt", "a_names.txt", "a_utf16.txt"],
)
def test_files_of_angles(folder, expected, name):
    scan = read_scan(folder / "raw.h5", data="/entry/data/data", angles=folder / name)

    np.testing.assert_allclose(degrees_of(scan), expected[name]["angles"], atol=1e-3)


@pytest.mark.parametrize("name", ["time_order.mrc", "angle_order.mrc"])
def test_the_tilt_axis_of_an_mrc_file_is_taken_and_said(folder, name):
    scan = read_scan(folder / name)

    assert scan.rotation_axis == "horizontal"
    assert any("88.9" in remark and "horizontal" in remark for remark in scan.remarks)
    assert read_scan(folder / name, rotation_axis="vertical").rotation_axis == "vertical"


def test_bytes_with_values_above_127_are_unsigned(folder):
    scan = read_scan(folder / "unsigned.mrc", background=None)

    assert scan.projections.min() >= 0
    assert 128 < scan.projections.max() <= 255
