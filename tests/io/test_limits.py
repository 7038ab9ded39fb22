"""How much memory can be had: what the machine, a container, a limit and a job leave."""

import os

import pytest

from napari_tomoalign.io import limits

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Files as the kernel shows them: 16 GB are available, and there is no other limit."""
    files = {"/proc/meminfo": "MemTotal: 99 kB\nMemAvailable: 16000000 kB\n"}

    def lines(path):
        return files.get(str(path), "").splitlines()

    monkeypatch.setattr(limits, "_lines", lines)
    for name in limits._SLURM:
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    return files


def test_of_the_machine(machine):
    assert limits.free_memory() == 16_384_000_000


def group(machine, where, names, limit, used, cached):
    for name, value in zip(names, (limit, used), strict=False):
        machine[f"{where}/{name}"] = f"{value}\n"
    machine[f"{where}/memory.stat"] = f"anon 5\n{names[2]} {cached}\n{names[2]}_more 7\n"


def test_of_a_container_of_a_newer_kernel_and_of_the_groups_above_it(machine):
    machine["/proc/self/cgroup"] = "0::/slice/job\n"
    group(machine, "/sys/fs/cgroup/slice/job", limits._V2, "max", 3 * GB, 0)
    assert limits.free_memory() == 16_384_000_000
    group(machine, "/sys/fs/cgroup/slice", limits._V2, 8 * GB, 3 * GB, GB)
    assert limits.free_memory() == 6 * GB
    group(machine, "/sys/fs/cgroup", limits._V2, 4 * GB, 3 * GB, 0)  # as from inside a container
    assert limits.free_memory() == GB


def test_of_a_container_of_an_older_kernel(machine):
    machine["/proc/self/cgroup"] = "7:cpu:/x\n4:memory:/a/b\n0::/\n"
    group(machine, "/sys/fs/cgroup/memory/a", limits._V1, 8 * GB, 6 * GB, GB // 2)
    assert limits.free_memory() == 2.5 * GB
    group(machine, "/sys/fs/cgroup/memory/a/b", limits._V1, 5 * GB, 6 * GB, 0)
    assert limits.free_memory() == 0


def test_of_a_limit_of_the_address_space(machine, monkeypatch):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    machine["/proc/self/statm"] = "1000 7 7 7\n"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4 * GB, resource.RLIM_INFINITY))
    assert limits.free_memory() == 4 * GB - 1000 * resource.getpagesize()


@pytest.mark.parametrize(
    "given",
    [{"MEM_PER_NODE": "2048"}, {"MEM_PER_CPU": "512", "CPUS_ON_NODE": "4"}],
)
def test_of_a_job(machine, monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert limits.free_memory() == 2**31


def test_where_no_kernel_tells(machine, monkeypatch):
    """As on macOS, half of what is built in; where that is not told either, nothing is known."""
    machine.clear()
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get, False)
    monkeypatch.setattr(limits.sys, "platform", "darwin")
    assert limits.free_memory() == 20480
    monkeypatch.delattr(os, "sysconf")
    assert limits.free_memory() is None
    monkeypatch.setattr(limits.sys, "platform", "win32")
    monkeypatch.setattr(limits, "_of_windows", lambda: 12345)
    assert limits.free_memory() == 12345


def test_of_this_very_machine():
    free = limits.free_memory()
    assert free is None or 10**7 < free < 10**14
