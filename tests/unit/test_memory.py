"""Threads of a reader share one heap, as glibc itself counts its heaps."""

import ctypes
import subprocess
import sys

import pytest

from tom_fink.stream import memory

# Threads that hold memory at the same time, then what malloc_info(3) has to say
THREADS = """
import ctypes, sys, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
{first}
everybody = threading.Barrier(5)
def work():
    everybody.wait()
    libc.malloc(1000)
    everybody.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
everybody.wait()
everybody.wait()
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""
OURS = "from tom_fink.stream.memory import share_one_heap; share_one_heap()"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is not glibc")
@pytest.mark.parametrize(("first", "several"), [("", True), (OURS, False)])
def test_threads_share_one_heap(first, several):
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(first=first)], capture_output=True, text=True, check=True
    )
    heaps = done.stdout.count("<heap nr=")
    assert (heaps > 1) if several else (heaps == 1), done.stdout


def test_another_library_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.share_one_heap()
