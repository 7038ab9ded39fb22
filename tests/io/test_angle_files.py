"""Files of angles: the right numbers, or a question; never others in silence."""

import numpy as np
import pytest

from napari_tomoalign.io import ScanFileError
from napari_tomoalign.io.angle_files import angles_beside, read_angles, tilt_axis_angle
from napari_tomoalign.io.angles import in_radians

DEGREES = np.array([-60.5, 0.0, 4.5, 90.0])


def lines(*texts):
    return "\n".join(texts) + "\n"


READ = {
    "plain.txt": lines("-60.5", "0", "4.5", "90"),
    "comments.txt": lines("# angles", "-60.5 # first", "0", "", "4.5", "90"),
    "header.txt": lines("angle", "-60.5", "0", "4.5", "90"),
    "table.csv": lines("n,angle_deg,dose", "0,-60.5,1", "1,0,2", "2,4.5,3", "3,90,4"),
    "comment_header.txt": lines("# n tilt dose", "0 -60.5 1", "1 0 2", "2 4.5 3", "3 90 4"),
    "semicolons.csv": lines("n;theta", "0;-60,5", "1;0,0", "2;4,5", "3;90,0"),
    "padded.txt": lines("-60,50", "0,00", "4,50", "90,00"),
    "padded2.txt": lines("-60,50", "0,05", "4,50", "90,00"),
    "one.txt": "-60.5, 0, 4.5, 90",
    "one_spaces.txt": "-60.5 0 4.5 90",
    "names.txt": lines("a_0001.tif -60.5", "b_02.tif 0", "c.tif 4.5", "d.tif 90"),
    "names_comma.csv": lines("a.tif,-60.5", "b.tif,0", "c.tif,4.5", "d.tif,90"),
    "log.txt": lines("start 2026-11-25", "angle: -60.5 ok", "angle: 0", "angle=4.5", "angle: 90"),
    "log_comma.txt": lines("Angle: -60,5", "Angle: 0,0", "Angle: 4,5", "Angle: 90,0"),
    "series.mdoc": lines(
        *("[ZValue = 3]", "TiltAngle = 90", "[ZValue = 0]", "TiltAngle = -60.5"),
        *("[ZValue = 2]", "TiltAngle = 4.5", "[ZValue = 1]", "TiltAngle = 0"),
    ),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", READ)
def test_read(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_bytes(READ[name].replace("\n", "\r\n").encode(encoding))

    angles, words = read_angles(path)

    expected = DEGREES + ([0, 0.05, 0, 0] if name == "padded2.txt" else 0)
    np.testing.assert_allclose(np.rad2deg(angles), expected, atol=1e-9)
    assert name in words
    assert "degrees" in words


ASKED = {
    "two.txt": (lines("0 4.5", "1 9.0"), r"2 columns of numbers \(line 1: '0 4.5'\): which has"),
    "ambiguous.txt": (lines("0,2", "4,5", "9,7"), "2 columns of numbers"),
    "unnamed.csv": (lines("n,dose", "0,1.5", "1,2.5"), r"under n, dose\): which has the angles"),
    "both.csv": (lines("tilt,rotation", "0,1.5", "1,2.5"), "2 columns of numbers"),
    "keys.txt": (lines("tilt angle: 3", "beam angle: 5"), "lines of beam angle, tilt angle: which"),
    "late.txt": (lines("1", "2", "three"), r"line 3: expected an angle, got 'three'"),
    "ragged.txt": (lines("a 1", "b 2", "c 3 4"), r"line 3: .* 3 fields where the lines before"),
    "words.txt": (lines("no", "angles", "here"), "line 2: expected an angle, got 'angles'"),
    "twice.mdoc": (lines("[ZValue = 0]", "TiltAngle = 1", "[ZValue = 0]", "TiltAngle = 2"), "once"),
    "gap.mdoc": (lines("[ZValue = 0]", "TiltAngle = 1", "[ZValue = 2]", "TiltAngle = 2"), "once"),
    "lacks.mdoc": (lines("[ZValue = 0]", "Defocus = 1"), "no TiltAngle in the section ZValue = 0"),
}


@pytest.mark.parametrize("name", ASKED)
def test_asked(tmp_path, name):
    text, message = ASKED[name]
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ScanFileError, match=message):
        read_angles(tmp_path / name)


def test_a_header_in_radians(tmp_path):
    (tmp_path / "a.csv").write_text("n,theta_rad\n0,0.0\n1,6.5\n", encoding="utf-8")

    np.testing.assert_allclose(read_angles(tmp_path / "a.csv")[0], [0, 6.5])


def test_degrees_of_any_size_lose_whole_turns():
    angles, words = in_radians(np.arange(5) * 45.0 + 3610, "degrees", "the encoder")
    np.testing.assert_allclose(np.rad2deg(angles), np.arange(5) * 45.0 + 10, atol=1e-9)
    assert "less whole turns" in words
    many, _ = in_radians(np.arange(40) * 90.0, "degrees", "several turns")
    np.testing.assert_allclose(np.exp(1j * many), np.exp(1j * np.arange(40) * np.pi / 2))
    assert np.abs(many).max() < 2 * np.pi


def test_angles_in_the_folder_are_found(tmp_path):
    (tmp_path / "frames").mkdir()
    assert angles_beside(tmp_path / "frames") is None
    (tmp_path / "frames" / "angles.txt").write_text("0\n", encoding="utf-8")

    assert angles_beside(tmp_path / "frames") == tmp_path / "frames" / "angles.txt"


def test_the_angle_of_the_tilt_axis_in_its_spellings():
    assert tilt_axis_angle("[T =     Tilt axis angle = 88.9, binning = 2]") == 88.9
    assert tilt_axis_angle("TiltAxisAngle = -2.5") == -2.5
    assert tilt_axis_angle("nothing") is None
