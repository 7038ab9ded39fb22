"""A film: one picture an iteration, written as GIF and MP4."""

import numpy as np
import pytest
from PIL import Image

from napari_tomoalign import align
from napari_tomoalign.cli import main
from napari_tomoalign.images.source import ArraySource
from napari_tomoalign.io import write_result, write_scan
from napari_tomoalign.io.scan import Scan
from napari_tomoalign.report import comparing
from napari_tomoalign.report.film import film_frames, write_film
from napari_tomoalign.simulation import simulate


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, jitter=1.5, drift=1.0)


@pytest.fixture(scope="module")
def result(scan):
    return align(scan.projections, scan.angles, progress=False, backend="builtin")


def likeness(frame, slice_):
    """Return how well the left half of a picture shows a slice: correlation."""
    grey = frame[:, :300].mean(axis=2)
    inside = np.flatnonzero((grey < 250).mean(axis=1) > 0.5)  # rows of the picture of the slice
    across = np.flatnonzero((grey[inside] < 250).mean(axis=0) > 0.5)
    picture = grey[inside[0] : inside[-1] + 1, across[0] : across[-1] + 1]
    rows, columns = (np.linspace(0, n - 1, 32).round().astype(int) for n in picture.shape)
    return np.corrcoef(picture[np.ix_(rows, columns)].ravel(), slice_.ravel())[0, 1]


def test_the_slice_gets_sharp_and_the_shifts_grow(scan, result):
    frames = list(film_frames(result, scan.projections, row=16))
    assert len(frames) == len(result.history) + 1  # the scan as measured comes first
    assert {frame.shape for frame in frames} == {(320, 640, 3)}
    found = result.reconstruction[16]  # by the loop, not by the film
    assert likeness(frames[-1], found) > likeness(frames[0], found) + 0.02
    assert likeness(frames[-1], found) > 0.9
    assert not np.array_equal(frames[0][:, 340:], frames[-1][:, 340:])


def test_a_gif_of_as_many_pictures(scan, result, tmp_path):
    path = write_film(tmp_path / "film.gif", result, scan.projections)
    with Image.open(path) as film:
        assert film.n_frames == len(result.history) + 1
        assert film.info["duration"] == 500


def test_an_mp4_where_ffmpeg_is_there(scan, result, tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason='pip install "napari-tomoalign[film]"')
    path = write_film(tmp_path / "film.mp4", result, scan.projections)
    assert path.read_bytes()[4:8] == b"ftyp"


class Watched(ArraySource):
    """A source that keeps account of what was read."""

    ndim = 3

    def read(self, *cuts):
        part = super().read(*cuts)
        READ.append(part.nbytes)
        return part


READ = []


def test_of_a_scan_in_a_file_some_images_and_the_rows_of_the_slice_are_read(
    scan, result, monkeypatch
):
    monkeypatch.setattr(comparing, "_TELL_ROW", 4)
    tall = np.pad(scan.projections, ((0, 0), (60, 60), (0, 0)))
    READ.clear()
    frames = list(film_frames(result, Watched(tall)))
    for frame, expected in zip(frames, film_frames(result, tall), strict=True):
        np.testing.assert_array_equal(frame, expected)
    assert max(READ) < tall.nbytes / 2
    assert sum(READ) < tall.nbytes  # a few for the contrast, and the slice's rows


def test_another_kind_of_film_is_refused(scan, result, tmp_path):
    with pytest.raises(ValueError, match=r"a film is a \.gif or an \.mp4, got 'film\.avi'"):
        write_film(tmp_path / "film.avi", result, scan.projections)


def test_the_command_draws_the_report_and_the_film(scan, result, tmp_path, capsys):
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    write_result(tmp_path / "run", result, Scan(scan.projections, scan.angles))
    command = ["report", str(tmp_path / "run"), str(path), "--film"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for name in ("report.png", "report.html", "film.gif"):
        assert name in printed
        assert (tmp_path / "run" / name).stat().st_size > 1000
    assert main(command) != 0  # a film that is there is not replaced unasked
    assert "film.gif" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
