"""Damaged files of every kind are read or refused by name, in bounded time, without a noise."""

import time
import warnings

import h5py
import mrcfile
import numpy as np
import tifffile
from io_result import make_result

from napari_tomoalign.io import (
    ScanFileError,
    import_shifts,
    read_scan,
    read_shifts,
    write_scan,
    write_shifts,
)
from napari_tomoalign.io.angle_files import read_angles

SEED = 20260
COUNT = 300
SLOWEST = 4.0
"""Seconds for one file of a few kilobytes: far more than it takes, on a busy machine too."""
STACK = np.random.default_rng(1).random((6, 8, 10)).astype(np.float32)
DEGREES = np.arange(6) * 30.0
KNOWN = {"angles": np.deg2rad(DEGREES)}


def nexus(path):
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector["data"] = (1000 * STACK).astype("u2")
        detector["image_key"] = [0, 1, 0, 2, 0, 0]
        file["entry/sample/rotation_angle"] = DEGREES
        file["entry/link"] = h5py.SoftLink("/entry/instrument/detector/data")


def mrc(path):
    with mrcfile.new(path, data=STACK):
        pass
    path.with_suffix(".rawtlt").write_text(
        "".join(f"{angle}\n" for angle in DEGREES), encoding="utf-8"
    )


MAKERS = {
    "scan.h5": lambda p: write_scan(p, STACK, KNOWN["angles"], white=STACK[:2] + 1),
    "scan.nxs": nexus,
    "scan.mrc": mrc,
    "stack.tif": lambda p: tifffile.imwrite(p, STACK, photometric="minisblack"),
    "zipped.tif": lambda p: tifffile.imwrite(
        p, STACK, photometric="minisblack", compression="zlib"
    ),
    "imagej.tif": lambda p: tifffile.imwrite(p, STACK, imagej=True, metadata={"axes": "ZYX"}),
    "ome.ome.tif": lambda p: tifffile.imwrite(p, STACK, metadata={"axes": "ZYX"}, ome=True),
    "stack.npy": lambda p: np.save(p, STACK),
    "stack.npz": lambda p: np.savez_compressed(p, projections=STACK, angles=KNOWN["angles"]),
    "angles.txt": lambda p: p.write_text("frame,angle\n0,0.0\n1,4.5\n2,9.0\n", encoding="utf-8"),
    "series.mdoc": lambda p: p.write_text(
        "[ZValue = 0]\nTiltAngle = 1\n[ZValue = 1]\nTiltAngle = 2", encoding="utf-8"
    ),
    "shifts.h5": lambda p: write_shifts(p, *make_result()),
    "shifts.csv": lambda p: p.write_text("shift_row,shift_column\n1,2\n3,4\n", encoding="utf-8"),
    "shifts.xf": lambda p: p.write_text("1 0 0 1 2 3\n1 0 0 1 -2 4\n", encoding="utf-8"),
    "shifts.npz": lambda p: np.savez(p, sx=np.arange(3.0), sy=np.arange(3.0)),
}


def read(path):
    kind = path.name
    if kind.startswith("shifts"):
        return read_shifts(path) if path.suffix == ".h5" else import_shifts(path)
    if path.suffix in (".txt", ".mdoc"):
        return read_angles(path)
    own = path.suffix in (".h5", ".nxs", ".npz", ".mrc")
    return read_scan(path, **({} if own else KNOWN))


def mutated(data, others, rng):
    """Return the bytes with one kind of damage."""
    data = bytearray(data)
    kind = rng.integers(6)
    at = int(rng.integers(len(data)))
    if kind == 0:  # cut off
        return bytes(data[:at])
    if kind == 1:  # single bytes, mostly where headers are
        for place in rng.integers(0, min(len(data), 400 if rng.random() < 0.6 else len(data)), 6):
            data[place] = rng.integers(256)
    elif kind == 2:  # a number that is absurd
        data[at : at + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"])
    elif kind == 3:  # a block of zeros
        end = min(len(data), at + int(rng.integers(1, 200)))
        data[at:end] = bytes(end - at)
    elif kind == 4:  # the end of another file
        other = others[int(rng.integers(len(others)))]
        data[at:] = other[min(at, len(other) - 1) :]
    else:  # bytes that are missing
        del data[at : at + int(rng.integers(1, 20))]
    return bytes(data)


def test_three_hundred_damaged_files(tmp_path, capfd):
    rng = np.random.default_rng(SEED)
    whole = {}
    for name, make in MAKERS.items():
        make(tmp_path / name)
        whole[name] = (tmp_path / name).read_bytes()
        read(tmp_path / name)
    others = list(whole.values())
    refused, worst = 0, []
    for number in range(COUNT):
        name = list(MAKERS)[number % len(MAKERS)]
        path = tmp_path / name
        path.write_bytes(mutated(whole[name], others, rng))
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(path)
        except (ScanFileError, ValueError) as error:
            refused += 1
            said = str(error)
            if name not in said or len(said) > 1500:
                worst.append((number, name, type(error).__name__, said[:200]))
        except Exception as error:
            worst.append((number, name, type(error).__name__, str(error)[:200]))
        if time.perf_counter() - begin > SLOWEST:
            worst.append((number, name, "slow", time.perf_counter() - begin))
        path.write_bytes(whole[name])

    assert not worst, "\n".join(map(str, worst))
    assert refused > COUNT / 3
    assert capfd.readouterr() == ("", "")  # no library's own lines beside ours
