"""Buffers that a thread uses again and again: to have new memory costs more than to inflate or compress into it."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Parts = Sequence[bytes | memoryview]
"""The bytes of an object, in parts that lie one behind another."""


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, Bytes] = {}

    def get(self, name: str, size: int) -> Bytes:
        """Return `size` bytes of this thread's buffer of a name, with whatever the last user left in them."""
        if name not in self.buffers or len(self.buffers[name]) < size:
            self.buffers[name] = np.empty(size, "u1")
        return self.buffers[name][:size]


scratch = _Scratch()
