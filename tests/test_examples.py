"""The script for newcomers runs as it stands, and finds what it says it finds."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "sample_data" / "first_alignment.py"


def test_the_first_alignment_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(SCRIPT), run_name="example")
    assert names["missed"] < 0.05
    assert names["error"] < 0.05
    assert names["verification"].error < 0.05
    assert "are recovered" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())  # only the script itself writes


def test_a_result_is_short_in_words_and_shows_its_picture_in_a_notebook():
    from napari_tomoalign import align
    from napari_tomoalign.simulation import simulate

    scan = simulate(size=16, n_angles=12)
    result = align(scan.projections, scan.angles, maxiter=2, progress=False, backend="builtin")
    assert len(repr(result)) < 200
    assert repr(result).startswith("<AlignmentResult: 12 projections of 16 x 16 pixels, ")
    page = result._repr_html_()
    assert "data:image/png;base64," in page
    assert result.message in page
