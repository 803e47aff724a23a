"""The memory and cores that this process may use, with the limits of a control group."""

import os
import subprocess
from pathlib import Path

import pytest

from dreamer.errors import Mistake
from dreamer.machine import limits
from helpers import ROOT


@pytest.mark.parametrize(("text", "count"), [("512m", 512 << 20), ("1.5G", 3 << 29), ("2 GiB", 2 << 30), ("123", 123),
                                             ("3kb", 3072)])
def test_sizes_of_memory(text: str, count: int) -> None:
    assert limits.size(text) == count
    if count > 1 << 20:
        assert count <= limits.size(limits.told(count)) < count * 1.1


@pytest.mark.parametrize("text", ["", "much", "-1g", "0", "1x"])
def test_what_is_no_size_of_memory(text: str) -> None:
    with pytest.raises(Mistake):
        limits.size(text)


def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "nobody").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nobody"))  # so that no other dream has reserved anything
    read = limits._read
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    monkeypatch.setattr(limits, "_read", lambda path: where if str(path) == "/proc/self/cgroup" else read(path))


@pytest.mark.parametrize(("where", "files", "free"), [
    ("0::/a/b", {"a/memory.max": "400", "a/memory.current": "150", "a/memory.stat": "anon 100\ninactive_file 50\n",
                 "a/b/memory.max": "max"}, 300),
    ("4:memory:/docker/x", {"memory/memory.limit_in_bytes": "500", "memory/memory.usage_in_bytes": "100"}, 400),
    ("4:cpu,memory:/", {"cpu,memory/memory.limit_in_bytes": "500", "cpu,memory/memory.usage_in_bytes": "900"}, 0),
])
def test_memory_of_a_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, files: dict[str, str],
                                   free: int) -> None:
    groups(tmp_path, monkeypatch, where, files)
    assert limits.memory() == free


@pytest.mark.parametrize(("where", "files", "count"), [
    ("0::/a", {"a/cpu.max": "100000 100000"}, 1),
    ("0::/a", {"a/cpu.max": "max 100000"}, 8),
    ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 2),
    ("3:cpu,cpuacct:/x", {"cpu,cpuacct/x/cpu.cfs_quota_us": "50000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 1),
    ("3:cpu:/x", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
])
def test_threads_of_a_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, files: dict[str, str],
                                    count: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    groups(tmp_path, monkeypatch, where, files)
    assert limits.threads() == count


@pytest.mark.parametrize("text", ["9" * 400, "0.4", "0", "1e9", "-1"])
def test_no_size_is_beyond_all_measure(text: str) -> None:
    with pytest.raises(Mistake, match="is not a memory size"):
        limits.size(text)


@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("1", 1), ("3", 3)])
def test_openblas_starts_no_threads_unless_the_environment_asks_for_them(asked: str | None, threads: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS",
                                                                                    "OPENBLAS_NUM_THREADS")}
    environment |= {"OPENBLAS_NUM_THREADS": asked} if asked else {}
    code = ("import os\nfrom dreamer.machine import limits\nlimits.start_no_blas_threads()\nimport numpy\n"
            "print(len(os.listdir('/proc/self/task')), limits.needed())")
    done = subprocess.run(["/usr/bin/python3", "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True)
    started, needed = map(int, done.stdout.split())
    assert started == min(threads, len(os.sched_getaffinity(0)))
    assert needed == limits.LOAD + limits.BEGIN + limits.THREAD * (started - 1)
