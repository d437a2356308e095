"""Buffers that a thread uses again and again: to have new memory costs more than to inflate or compress into it."""

import threading

import numpy as np
from numpy.typing import NDArray


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[np.uint8]] = {}

    def get(self, name: str, size: int) -> NDArray[np.uint8]:
        """Return `size` bytes of this thread's buffer of a name, with whatever the last user left in them."""
        if name not in self.buffers or len(self.buffers[name]) < size:
            self.buffers[name] = np.empty(size, "u1")
        return self.buffers[name][:size]


scratch = _Scratch()
