"""Slabs that others evaluate: the same bits, little that travels, and what is wrong is said."""

import os
import pickle
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign._executors import WorkersUnfit, WorkLost, as_executor, in_order
from napari_tomoalign.loop import evaluating
from napari_tomoalign.simulation import simulate


class Elsewhere(Executor):
    """Workers of another process, as far as pickling goes: what is sent is a copy."""

    def __init__(self, answers=None):
        self.sent = []
        self.answers = answers or {}

    def submit(self, task, *arguments):
        future = Future()
        if task in self.answers:
            answer = self.answers[task]
        else:
            sent = pickle.dumps((task, arguments))
            self.sent.append(len(sent))
            copy, given = pickle.loads(sent)
            answer = pickle.loads(pickle.dumps(copy(*given)))
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


class Here(ThreadPoolExecutor):
    """The same slabs, one after the other, in this process."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, n_rows=70, seed=2, masked_fraction=0.1)


def aligned(scan, executor, **options):
    return align(
        scan.projections,
        scan.angles,
        weights=scan.weights,
        backend="builtin",
        maxiter=4,
        progress=False,
        executor=executor,
        **options,
    )


def test_workers_of_other_processes_give_the_same_bits(scan, monkeypatch, tmp_path):
    monkeypatch.setattr(evaluating, "_SHARED_HEIGHT", 20)
    with Here(1) as threads:
        here = aligned(scan, threads)
    workers = Elsewhere()
    there = aligned(scan, workers, scratch=tmp_path)
    np.testing.assert_array_equal(here.shifts, there.shifts)
    np.testing.assert_array_equal(here.reconstruction, there.reconstruction)
    assert max(workers.sent) < 30_000  # bytes: a stack here is 215 kB, and its weights as much
    assert os.listdir(tmp_path) == []
    plain = aligned(scan, None)
    np.testing.assert_allclose(plain.shifts, there.shifts, atol=1e-4)


def test_what_workers_lack_is_said_before_any_work(scan, tmp_path):
    from importlib.metadata import PackageNotFoundError, version

    def said(answer, task=version):
        run = iterate_alignment(
            scan.projections, scan.angles, executor=Elsewhere({task: answer}), scratch=tmp_path
        )
        with pytest.raises(WorkersUnfit) as caught:
            next(iter(run))
        return str(caught.value)

    assert "no worker has answered" in said(TimeoutError())
    assert "pip install napari-tomoalign==" in said(PackageNotFoundError("napari-tomoalign"))
    assert "have napari-tomoalign 0.0.7 and here is" in said("0.0.7")
    assert "__main__" in said(BrokenProcessPool("gone"))
    assert "a folder that all machines share" in said(False, os.path.exists)
    assert os.listdir(tmp_path) == []


def test_no_executor_at_all_is_refused(scan):
    with pytest.raises(TypeError, match=r"executor must be a concurrent.futures.Executor.*int"):
        align(scan.projections, scan.angles, executor=3)
    with pytest.raises(ValueError, match="scratch must be a folder that is there"):
        align(scan.projections, scan.angles, scratch="/no/such/folder")


def test_an_executor_that_is_shut_down_is_refused_before_any_work(scan):
    shut = Here(1)
    shut.shutdown()
    with pytest.raises(WorkersUnfit, match=r"takes no work.*give one that is not shut down"):
        next(iter(iterate_alignment(scan.projections, scan.angles, executor=shut)))


def test_a_client_gives_an_executor_that_takes_no_two_calls_for_one():
    class Client:
        def get_executor(self, *, pure):
            assert pure is False
            return Elsewhere()

        def submit(self):
            """Of its own kind: its futures are others."""

    assert isinstance(as_executor(Client()), Elsewhere)


class Mortal(ThreadPoolExecutor):
    """Loses every piece of work so many times before it does it."""

    def __init__(self, times, error):
        super().__init__(1)
        self.times, self.error, self.lost = times, error, {}

    def submit(self, task, *arguments):
        count = self.lost[arguments] = self.lost.get(arguments, 0) + 1
        if count <= self.times:
            future = Future()
            future.set_exception(self.error)
            return future
        return super().submit(task, *arguments)


@pytest.mark.parametrize(
    "error", [CancelledError(), BrokenExecutor("x"), type("KilledWorker", (Exception,), {})()]
)
def test_what_is_lost_once_is_done_again_and_twice_ends_it(error):
    with Mortal(1, error) as once:
        assert list(in_order(abs, range(-3, 0), once, ahead=2)) == [3, 2, 1]
    with Mortal(2, error) as twice, pytest.raises(WorkLost, match=r"-3 were lost, twice"):
        list(in_order(abs, range(-3, 0), twice))


def test_no_more_is_given_out_than_asked_for():
    given = []

    class Watched(Elsewhere):
        def submit(self, task, *arguments):
            given.append(arguments)
            return super().submit(task, *arguments)

    made = in_order(abs, range(10), Watched(), ahead=3)
    next(made)
    assert len(given) <= 4
    made.close()
