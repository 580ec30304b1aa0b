"""What processes use: CPU time and peak memory."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cpu:
    """CPU seconds, user and system together, at one moment or between two."""

    parent: float = 0.0  # the readers
    child: float = 0.0  # what decodes for them
    postgresql: float = 0.0
    kafka: float = 0.0

    def __sub__(self, earlier: "Cpu") -> "Cpu":
        return Cpu(*(getattr(self, name) - getattr(earlier, name) for name in vars(self)))

    @property
    def reader(self) -> float:
        """The readers with their children."""
        return self.parent + self.child

    @property
    def all(self) -> float:
        """All of them; what the benchmark itself needs is not in it."""
        return self.reader + self.postgresql + self.kafka


def of_tree(first: psutil.Process) -> float:
    """CPU seconds of a process and all its descendants, those that have ended too."""
    times = []
    for process in [first, *first.children(recursive=True)]:
        try:
            times.append(process.cpu_times())
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile, and counts with its parent's children
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def of_one(process: psutil.Process) -> float:
    """CPU seconds of a process without its descendants."""
    times = process.cpu_times()
    return times.user + times.system


@dataclass
class Readers:
    """The processes of one or more readers, each with those that decode for it."""

    pids: Iterable[int]
    peaks: dict[int, int] = field(default_factory=dict)  # bytes, by process
    peak: int = 0  # bytes of a reader and what decodes for it at one moment

    def __post_init__(self):
        self._parents = [psutil.Process(pid) for pid in self.pids]

    def cpu(self) -> tuple[float, float]:
        """CPU seconds (of the readers, of what decodes for them)."""
        parents = sum(map(of_one, self._parents))
        return parents, sum(map(of_tree, self._parents)) - parents

    def note_peaks(self) -> None:
        """Look at what each process has in memory, and ever had (VmHWM).

        Pages of libraries are in memory once, whoever shows them as its own. So are the files in memory that a
        reader and what decodes for it share; written and not mapped, they are in nobody's resident set.
        """
        for parent in self._parents:
            pids = (parent.pid, *_children(parent))
            looks = {pid: _resident(pid) for pid in pids}
            for pid, look in looks.items():
                self.peaks[pid] = max(self.peaks.get(pid, 0), look["VmHWM"])
            own = sum(look["RssAnon"] for look in looks.values()) + sum(_shared_files(pids).values())
            self.peak = max(self.peak, own + max(look["RssFile"] for look in looks.values()))

    @property
    def peak_parent(self) -> int:
        """Bytes of the largest reader."""
        return max(self.peaks[parent.pid] for parent in self._parents)

    @property
    def peak_child(self) -> int:
        """Bytes of the largest process that decodes."""
        parents = {parent.pid for parent in self._parents}
        return max((peak for pid, peak in self.peaks.items() if pid not in parents), default=0)


def _children(parent: psutil.Process) -> list[int]:
    """A reader's children, each known to the thread that started it; none of them has any of its own."""
    found = []
    for thread in Path(f"/proc/{parent.pid}/task").iterdir():
        try:
            found += (thread / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has just ended
    return [int(pid) for pid in found]


def _resident(pid: int) -> dict[str, int]:
    """Bytes by the names that /proc/pid/status has for them; zeros of a process that has ended."""
    found = dict.fromkeys(("VmHWM", "RssAnon", "RssFile"), 0)
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return found
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) * 1024
    return found


def _shared_files(pids: Iterable[int]) -> dict[int, int]:
    """Bytes that the files in memory (memfd) of these processes have, each once, by its inode."""
    found = {}
    for pid in pids:
        try:
            for opened in Path(f"/proc/{pid}/fd").iterdir():
                if os.readlink(opened).startswith("/memfd:"):
                    status = opened.stat()
                    found[status.st_ino] = status.st_blocks * 512
        except (FileNotFoundError, ProcessLookupError):
            continue  # it was closed, or the process has ended
    return found
