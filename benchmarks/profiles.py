"""Where the microseconds go: py-spy on each process of a run, and what it found in a few lines.

`--profile FOLDER` of `benchmarks.pipeline` leaves one file a process there: lines of `stack count`, which
flame graph tools read too. Only what runs on a CPU is sampled; time in C is that of the Python line that
called.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SAMPLES_PER_S = 100
LONGEST_S = 600
LINES = 14


@contextmanager
def profiled(pids: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Sample the processes while inside."""
    py_spy = shutil.which("py-spy")
    if py_spy is None:
        raise SystemExit("py-spy is not on PATH: pip install py-spy")
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--format", "raw", "--rate", str(SAMPLES_PER_S), "--duration", str(LONGEST_S)]
    recorders = [
        subprocess.Popen(  # noqa: S603
            [
                py_spy,
                "record",
                "--nonblocking",
                *options,
                "--output",
                str(folder / f"{name}.txt"),
                "--pid",
                str(pid),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, pid in pids.items()
    ]
    yield
    for recorder in recorders:
        recorder.send_signal(2)
    for recorder in recorders:
        recorder.wait(60)


def print_profile(file: Path) -> None:
    """Shares of a process's samples: by the function that ran, and by those it was called from."""
    own, all_ = Counter[str](), Counter[str]()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        all_.update(dict.fromkeys(frames, int(count)))
    total = max(1, own.total())
    print(f"\n{file.stem}: {total} samples; share by itself, and with what it calls")
    for (frame, mine), (outer, with_called) in zip(
        own.most_common(LINES), all_.most_common(LINES), strict=False
    ):
        print(f"  {100 * mine / total:5.1f} % {frame:50} {100 * with_called / total:5.1f} % {outer}")


def _short(frame: str) -> str:
    """`function (package/module.py)` without the line, so that a function is one entry."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame
