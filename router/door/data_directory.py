"""The directory where a router keeps what was handed in: one router's at a time, and it knows how old it is."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

from ..wire.agreed import AGREED, filled
from ..wire.journal import write_file
from ..wire.outbox_file import BIRTH, LOCK


class DataDirectoryError(Exception):
    """The directory is another router's, or something else wrote to it."""


class DataDirectory:
    """Made if it is missing, and locked until `release`, or until the process ends, however it ends."""

    def __init__(self, path: Path, run_id: str) -> None:
        """Raises DataDirectoryError if another router has it, OSError as it comes."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(run_id)
        except BaseException:
            self.release()
            raise

    def age(self, wall: float) -> float:
        """Seconds since this was asked for the first time, by this router or one before it; `wall` is now, since the epoch."""
        birth = self.path / BIRTH
        if not birth.exists():
            write_file(birth, f"{wall}\n".encode())
        try:
            return max(0.0, wall - float(birth.read_text()))  # a clock that was set back makes nothing younger than new
        except ValueError as error:
            raise DataDirectoryError(filled(AGREED.data_directory.no_birth, file=birth)) from error

    def release(self) -> None:
        """Another router may have it. May be repeated."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take(self, run_id: str) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            in_use = filled(AGREED.data_directory.in_use, directory=self.path, holder=self._holder())
            raise DataDirectoryError(in_use) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"run_id": run_id, "pid": os.getpid()}).encode(), 0)

    def _holder(self) -> str:
        try:
            said = json.loads(os.pread(self._lock, 4096, 0))
            return filled(AGREED.data_directory.holder, run_id=said["run_id"], pid=said["pid"])
        except (ValueError, LookupError, TypeError):
            return AGREED.data_directory.unknown_holder
