"""The memory of a reader's process."""

import ctypes

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_heap() -> None:
    """Have all threads of this process take their memory from one heap, where its C library is glibc.

    It gives each new thread a heap of its own, as far as there are some for each core. What threads of one batch free
    stays unused there, while those of the next take more: some 20 MB. Other libraries are left as they are.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, 1)
