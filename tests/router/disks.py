"""Disks that misbehave: full ones, and ones that take their time."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def disk_full_above(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes; writing more fails with an OSError, after what still fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class SlowDisk:
    """Its `fdatasync` waits until it is let go; `syncs` counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.reached, self._let_go = threading.Event(), threading.Event()
        self._fdatasync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def let_go(self) -> None:
        """From now on it is a disk like any other."""
        self._let_go.set()

    def _sync(self, descriptor: int) -> None:
        self.syncs += 1
        self.reached.set()
        self._let_go.wait(10)
        self._fdatasync(descriptor)
