"""A real cluster of two processes: the same bits, and who dies costs a slab's work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign._executors import as_executor, in_order
from napari_tomoalign.cli import main
from napari_tomoalign.io import read_shifts
from napari_tomoalign.io.finished import read_finished
from napari_tomoalign.loop import evaluating
from napari_tomoalign.simulation import simulate

distributed = pytest.importorskip(
    "distributed", reason="needs dask.distributed: pip install 'napari-tomoalign[dask]'"
)

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows, which has one kind, ends it by either


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_the_bits_are_those_of_a_serial_run_though_a_worker_dies(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(evaluating, "_SHARED_HEIGHT", 16)
    scan = simulate(24, 20, n_rows=64, seed=2)
    options = {"backend": "builtin", "maxiter": 4, "progress": False}
    with ThreadPoolExecutor(1) as serial:
        expected = align(scan.projections, scan.angles, executor=serial, **options)
    killed = []

    def kill(state: Any) -> None:
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            threading.Timer(0.05, os.kill, (killed[0], KILL)).start()

    found = align(scan.projections, scan.angles, executor=client, callback=kill, **options)
    np.testing.assert_array_equal(found.shifts, expected.shifts)
    np.testing.assert_array_equal(found.reconstruction, expected.reconstruction)
    assert killed[0] not in client.run(os.getpid).values()


def test_a_worker_that_dies_over_its_work_costs_that_work(client: Any, tmp_path: Path) -> None:
    def once(item: int) -> int:
        mark = tmp_path / "died"
        if item == 2 and not mark.exists():
            mark.write_bytes(b"")
            os.kill(os.getpid(), KILL)
        return item * item

    assert list(in_order(once, range(5), as_executor(client))) == [0, 1, 4, 9, 16]


@pytest.mark.skipif(os.name != "posix", reason="Windows would end the tests by it")
def test_ctrl_c_while_workers_work_comes_through(client: Any) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(in_order(time.sleep, [2.0, 2.0], as_executor(client)))
    assert time.monotonic() - began < 1.8


def test_the_command_line_on_a_cluster(client: Any, tmp_path: Path) -> None:
    scan = tmp_path / "scan.h5"
    small = ["--size", "24", "--n-angles", "24", "--jitter", "1.5", "--drift", "1"]
    assert main(["simulate", "-o", str(scan), *small, "--seed", "4"]) == 0
    words = ["align", str(scan), "--backend", "builtin", "--no-progress"]
    address = client.scheduler.address
    assert main([*words, "-o", str(tmp_path / "there"), "--cluster", address]) == 0
    assert main([*words, "-o", str(tmp_path / "here")]) == 0
    there, here = (read_shifts(tmp_path / name / "shifts.h5") for name in ("there", "here"))
    np.testing.assert_array_equal(there.shifts, here.shifts)
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert names == {path.name for path in (tmp_path / "here").iterdir()}
    store = ["--format", "zarr", "--resume"]  # which the workers write themselves
    assert main([*words, "--cluster", address, *store, str(tmp_path / "there")]) == 0
    found, expected = (read_finished(tmp_path / name) for name in ("there", "here"))
    assert (tmp_path / "there" / "aligned.zarr").is_dir()
    np.testing.assert_array_equal(found.aligned, expected.aligned)
    np.testing.assert_array_equal(found.volume, expected.volume)


def test_what_is_wrong_with_a_cluster_is_said(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_tomoalign._executors import WorkersUnfit
    from napari_tomoalign.cli import _cluster

    monkeypatch.setattr(_cluster, "_TIMEOUT", 1)

    def said(address: str, *files: Path) -> str:
        with pytest.raises(WorkersUnfit) as caught, _cluster.cluster_client(address, files):
            pass
        return str(caught.value)

    address = client.scheduler.address
    assert "no cluster answers at 'tcp://127.0.0.1:1' within" in said("tcp://127.0.0.1:1")
    assert f"does not see {tmp_path / 'none'}" in said(address, tmp_path / "none")
    monkeypatch.setattr(_cluster, "__version__", "9.9")
    assert "and here is 9.9: install the same" in said(address)
