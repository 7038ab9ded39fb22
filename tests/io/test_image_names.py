"""Which image of a folder is which: by the field that counts, and by whole words."""

from pathlib import Path

import pytest

from napari_tomoalign.io.image_names import kind_of, ordered


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["a2", "a10", "a1"], ["a1", "a2", "a10"]),
        (["r_90.5_02", "r_12.5_01", "r_45.0_03"], ["r_12.5_01", "r_90.5_02", "r_45.0_03"]),
        (["t_+10.0", "t_-60.0", "t_+00.0"], ["t_-60.0", "t_+00.0", "t_+10.0"]),
        (["p-003", "p-001", "p-002"], ["p-001", "p-002", "p-003"]),
        # an angle in whole degrees beside the counter: the numbers without gaps count
        (["s_000_2", "s_090_1", "s_045_3"], ["s_090_1", "s_000_2", "s_045_3"]),
        (["x1_y2", "x1_y1", "x2_y1"], ["x1_y1", "x1_y2", "x2_y1"]),  # none counts alone
    ],
)  # fmt: skip
def test_order(names, order):
    found = ordered([Path(f"{name}.tif") for name in names])

    assert [file.stem for file in found.files] == order


def test_gaps_and_steps():
    assert ordered([Path(f"p{n}.tif") for n in (1, 2, 5, 6, 9)]).gaps == "3-4, 7-8"
    assert ordered([Path(f"p{n}.tif") for n in range(0, 50, 5)]).gaps == ""
    assert ordered([Path(f"p{n}.tif") for n in (0, 5, 10, 20, 25)]).gaps == "15"


def test_angles_in_names_are_told_from_counters():
    assert ordered([Path(f"t_{a:+05.1f}_{i}.tif") for i, a in enumerate((3.0, -9.5))]).angles == (
        3.0,
        -9.5,
    )
    assert ordered([Path(f"p_{i:03d}.tif") for i in range(5)]).angles == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("wood_flat_0001", "white"),
        ("FlatField3", "white"),
        ("flat0001", "white"),
        ("dark_1", "dark"),
        ("tomo_DARK_2", "dark"),
        ("flatworm_0001", "data"),
        ("darkness3", "data"),
        ("whitefish", "data"),
        ("0001", "data"),
    ],
)
def test_fields_are_whole_words(name, kind):
    assert kind_of(name) == kind
