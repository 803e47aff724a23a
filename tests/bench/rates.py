#!/usr/bin/python3
"""What this processor can do: its name, the peak of its fused multiply-adds, and the rate of a large matrix product
(SGEMM) with OpenBLAS's best kernels for it.

    $ tests/bench/rates.py [THREADS]    # 2

OpenBLAS takes its slowest kernels for a processor that it does not know, which is most newer ones. So each of its core
types that this processor can run is tried, in a process of its own; the best one is what a benchmark compares with.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

HERE = Path(__file__).resolve().parent

# each makes a library use the kernels of another machine, or more or fewer threads
PINNED = ("OPENBLAS_CORETYPE", "NVPL_BLAS_DEBUG_CPU_TYPE", "MKL_DEBUG_CPU_TYPE", "NATIVE_ISA", "OPENBLAS_NUM_THREADS",
          "OMP_NUM_THREADS", "GLIBC_TUNABLES")
AVX512 = "avx512f avx512dq avx512bw avx512vl avx512cd"
# OpenBLAS's core types, and the flags of /proc/cpuinfo that their kernels need
CORE_TYPES = {"x86_64": {"Prescott": "pni", "Nehalem": "sse4_2", "Sandybridge": "avx", "Haswell": "avx2 fma",
                         "Zen": "avx2 fma", "SkylakeX": AVX512, "Cooperlake": f"{AVX512} avx512_bf16",
                         "SapphireRapids": f"{AVX512} avx512_bf16 amx_tile"},
              "aarch64": {"ARMV8": "asimd", "NEOVERSEN1": "asimd", "NEOVERSEV1": "sve", "NEOVERSEN2": "sve2"}}
# vectors for peak.c: the flags that they need, compiler options, the bytes of a vector, independent sums
Vectors: TypeAlias = Mapping[str, tuple[str, Sequence[str], int, int]]
VECTORS: Mapping[str, Vectors] = {
    "x86_64": {"AVX-512": (AVX512, ["-mavx512f"], 64, 24), "AVX2": ("avx2 fma", ["-mavx2", "-mfma"], 32, 12),
               "SSE2": ("sse2", [], 16, 12)},
    "aarch64": {"NEON": ("asimd", [], 16, 24)}}
FAST = ["-O2", "-ffp-contract=fast"]

# prints the GFLOP/s of an SGEMM
PRODUCT = """
import numpy, time
n, best = 2048, 0
a = numpy.ones((n, n), numpy.float32)
for _ in range(6):
    began = time.perf_counter()
    a.dot(a)
    best = max(best, 2e-9 * n ** 3 / (time.perf_counter() - began))
print(best)
"""


def processor(text: str) -> str:
    """The processor's name, from the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    numbers = [match[1] for name in ("cpu family", "model", "stepping")
               if (match := re.search(rf"^{name}\s*: (.*)", text, re.MULTILINE))]
    return f"{found[1] if found else platform.machine()}" + (f" (family {'/'.join(numbers)})" if numbers else "")


def flags(text: str) -> set[str]:
    """The processor's flags, from the text of /proc/cpuinfo."""
    found = re.search(r"^(?:flags|Features)\s*: (.*)", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def core_types(has: Iterable[str], machine: str = platform.machine()) -> list[str]:
    """OpenBLAS's core types whose kernels a processor with these flags can run."""
    return [name for name, needs in CORE_TYPES.get(machine, {}).items() if set(needs.split()) <= set(has)]


def chosen(said: str) -> str:
    """The core type that OpenBLAS reports in its output `said`, with OPENBLAS_VERBOSE=2; "" if there is none."""
    found = re.search(r"^Core: (\S+)", said, re.MULTILINE)
    return found[1] if found else ""


def environment(threads: int, core_type: str = "") -> dict[str, str]:
    """The environment for an engine with so many threads: nothing in it pins kernels, except OpenBLAS's `core_type`."""
    kept = {name: value for name, value in os.environ.items() if name not in PINNED}
    kept |= {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    return kept | ({"OPENBLAS_CORETYPE": core_type} if core_type else {})


def sgemm(python: str, threads: int, core_type: str = "") -> tuple[float, str]:
    """(GFLOP/s of a large matrix product in numpy, the core type that OpenBLAS used), with the interpreter `python`.

    The rate is 0 if the process dies, as it does with instructions that the processor or the kernel lacks."""
    done = subprocess.run([python, "-c", PRODUCT], capture_output=True, text=True, check=False, timeout=120,
                          env=environment(threads, core_type) | {"OPENBLAS_VERBOSE": "2"})
    return (float(done.stdout.split()[-1]) if done.returncode == 0 else 0.0), chosen(done.stderr)


def taken(rates: Mapping[str, tuple[float, str]]) -> dict[str, float]:
    """Of {asked core type: (GFLOP/s, the one used)}, those that were used and worked: {core type: GFLOP/s}."""
    return {asked: rate for asked, (rate, used) in rates.items() if rate > 0 and used.lower() == asked.lower()}


def fma_peak(threads: int, compiler: str = "cc") -> tuple[float, str]:
    """(GFLOP/s of multiply-adds on so many threads, the vectors' name); (0, "") without a C compiler."""
    has = flags(Path("/proc/cpuinfo").read_text())
    for name, (needs, options, size, chains) in VECTORS.get(platform.machine(), {}).items():
        if set(needs.split()) <= has and shutil.which(compiler):
            with tempfile.TemporaryDirectory() as folder:
                program = Path(folder) / "peak"
                subprocess.run([compiler, *FAST, *options, f"-DBYTES={size}", f"-DCHAINS={chains}", HERE / "peak.c",
                                "-o", program, "-pthread"], check=True)
                return float(subprocess.run([program, str(threads)], check=True, capture_output=True).stdout), name
    return 0.0, ""


def measured(python: str, threads: int) -> tuple[dict[str, float], tuple[float, str]]:
    """({core type: GFLOP/s} of every core type that works here, what OpenBLAS does by itself as sgemm() tells it)."""
    types = core_types(flags(Path("/proc/cpuinfo").read_text()))

    def twice(name: str) -> tuple[float, str]:
        return max(sgemm(python, threads, name) for _ in range(2))
    return taken({name: twice(name) for name in types}), twice("")


def busy(before: str, after: str) -> float:
    """The share of the processors' time, 0 to 1, that was used between two texts of /proc/stat."""
    first, last = ([int(number) for number in text.splitlines()[0].split()[1:9]] for text in (before, after))
    passed = [new - old for old, new in zip(first, last, strict=True)]
    return 1 - (passed[3] + passed[4]) / max(sum(passed), 1)  # idle, and waiting for a disk


def warning() -> list[str]:
    """A line if something else runs on this machine now, looking for a second."""
    stat = Path("/proc/stat")
    before = stat.read_text()
    time.sleep(1)
    share = busy(before, stat.read_text())
    return [f"Warning: something else takes {share:.0%} of the processors; these figures are worth nothing"] \
        if share > 0.05 else []


def told(threads: int, rates: Mapping[str, float], alone: tuple[float, str], peak: tuple[float, str]) -> list[str]:
    """The lines that describe this machine, from measured() and fma_peak()."""
    lines = [f"Processor: {processor(Path('/proc/cpuinfo').read_text())}; {os.cpu_count()} processors, "
             f"{threads} thread(s) used"]
    if peak[0]:
        lines.append(f"FMA peak, {peak[1]}: {peak[0]:.0f} GFLOP/s")
    if rates:
        lines.append("SGEMM with OpenBLAS, GFLOP/s: " +
                     ", ".join(f"{name} {rate:.0f}" for name, rate in sorted(rates.items(), key=lambda row: -row[1])))
    lines.append(f"OpenBLAS by itself takes {alone[1] or 'a core type that it does not name'}: {alone[0]:.0f} GFLOP/s")
    return lines


def main(words: Sequence[str]) -> None:
    """Measure, and print."""
    threads = int(words[0]) if words else 2
    print("\n".join(warning() + told(threads, *measured("/usr/bin/python3", threads), fma_peak(threads))))


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
    else:
        main(sys.argv[1:])
