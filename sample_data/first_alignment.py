"""A first alignment, cell by cell.

Run it as it is (``python sample_data/first_alignment.py``), cell by cell in an editor that knows
``# %%``, or paste the cells into a notebook. It takes a few seconds.
"""

# %% Read a scan: a simulated one, in the layout that beamlines write
from pathlib import Path

import numpy as np

import napari_tomoalign as tomoalign
from napari_tomoalign.io import read_scan, write_result

folder = Path(__file__).parent
scan = read_scan(folder / "scan.h5")
print(scan.projections.shape, "projections;", *scan.preparation, sep="\n  ")

# %% Align it. In a notebook, `result` alone in a cell shows what happened and its picture.
result = tomoalign.align(scan.projections, scan.angles, progress=False)
print(result)

# %% How sure is it? By its own standard errors ...
error = np.sqrt(np.mean(np.sum(result.standard_error**2, axis=1)))
print(f"standard error of a shift: {error:.3f} px (RMS)")

# %% ... by known shifts that are injected into the scan and found again ...
verification = tomoalign.verify(result, scan.projections, progress=False)
print(verification.message)

# %% ... and, because this scan is a simulation, by the truth
middle = (scan.projections.shape[2] - 1) / 2  # the column of the axis in the simulation
missed = tomoalign.alignment_error(
    result.shifts, scan.true_shifts, result.angles, centers=(result.center, middle)
)
print(f"distance to the true shifts: {missed:.3f} px (RMS)")

# %% Where did the stage go? Rows and columns, in pixels, by projection
for index in range(0, len(result.shifts), 12):
    row, column = result.shifts[index]
    print(f"{np.degrees(result.angles[index]):6.1f} degrees: row {row:+.2f}, column {column:+.2f}")

# %% Keep it: shifts.h5, a table, the aligned stack, the reconstruction
if __name__ == "__main__":
    written = write_result("first-alignment", result, scan, overwrite=True)
    print(*written.values(), sep="\n")
