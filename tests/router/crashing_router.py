"""Routers that die at a given call to the disk, forked from one process that has loaded what a router needs.

For each line on stdin, `{argv, crash_at, mode, log, calls}`, one router: `{pid}` is said on stdout, its own ready line if it
gets that far, and `{ended}` when it is gone. `crash_at` counts the calls that change something on the disk, from 1; at 0 it
never dies. The file `calls` gets the names of them all. How it dies (`mode`):

before   killed just before the call
torn     killed when half of what was to be written is in the file
power    the power goes just before the call: what was not synced is not there any more, neither bytes nor names
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from falsework.router import __main__ as command
from falsework.router.door import outbox, server
from falsework.router.process import serving

COMPACT_ABOVE = 700
"""Bytes; low, so that the outbox starts afresh in the middle of a story."""
CHANGES = ("mkdir", "open", "write", "pwrite", "fdatasync", "fsync", "ftruncate", "rename", "unlink")
real = {name: getattr(os, name) for name in CHANGES}


class Disk:
    """Every call of this process that changes something, one at a time, until the one at which it dies."""

    def __init__(self, crash_at: int, mode: str, calls: str) -> None:
        self.crash_at, self.mode = crash_at, mode
        self._calls = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._count = 0
        self._lock = threading.RLock()
        self._paths: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}
        self._undo: list[tuple[Path, Callable[[], None]]] = []
        """What happened to names, by the directory whose sync makes it last, and how the power cut takes it back."""

    def install(self) -> None:
        for name in CHANGES:
            setattr(os, name, self._counted(name, real[name]))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not arguments[1] & os.O_CREAT:
                return self._track(call, arguments, named)
            with self._lock:
                self._count += 1
                real["write"](self._calls, f"{name} ".encode())
                if self._count == self.crash_at:
                    self._die(name, arguments)
                return getattr(self, f"_{name}", self._plainly)(call, arguments, named)

        return counted

    def _die(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.mode == "torn" and name == "write":
            real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        if self.mode == "power":
            self._cut_power()
        os.kill(os.getpid(), signal.SIGKILL)

    def _cut_power(self) -> None:
        for _, undo in reversed(self._undo):
            undo()
        for path, size in self._synced.items():
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)

    # What lasts

    def _plainly(self, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return call(*arguments, **named)

    def _track(self, call: Callable[..., int], arguments: tuple[Any, ...], named: dict[str, Any]) -> int:
        descriptor = call(*arguments, **named)
        self._paths[descriptor] = Path(arguments[0])
        return descriptor

    def _open(self, call: Callable[..., int], arguments: tuple[Any, ...], named: dict[str, Any]) -> int:
        path = Path(arguments[0])
        if path.exists():
            self._synced.setdefault(path, path.stat().st_size)
        else:
            self._synced[path] = 0
            self._undo.append((path.parent, lambda: path.unlink(missing_ok=True)))
        return self._track(call, arguments, named)

    def _fsync(self, call: Callable[..., None], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        call(*arguments, **named)
        path = self._paths[arguments[0]]
        if path.is_dir():
            self._undo = [(directory, undo) for directory, undo in self._undo if directory != path]
        else:
            self._synced[path] = os.fstat(arguments[0]).st_size

    _fdatasync = _fsync

    def _ftruncate(self, call: Callable[..., None], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        call(*arguments, **named)
        path = self._paths[arguments[0]]
        self._synced[path] = min(self._synced[path], arguments[1])

    def _rename(self, call: Callable[..., None], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        source, target = Path(arguments[0]), Path(arguments[1])
        before = target.read_bytes()[: self._synced.get(target)] if target.exists() else None
        call(source, target)
        self._synced[target] = self._synced.pop(source)
        self._paths = {number: target if path == source else path for number, path in self._paths.items()}

        def undo() -> None:
            if target.exists():
                target.replace(source)
            if before is not None:
                target.write_bytes(before)
                self._synced[target] = len(before)

        self._undo.append((target.parent, undo))


def become_a_router(told: dict[str, Any]) -> None:
    """In the child: the command line's router, on a disk that is watched."""
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    Disk(told["crash_at"], told["mode"], told["calls"]).install()
    sys.argv = ["router", *told["argv"]]
    command.main()


def main() -> None:
    assert server
    assert serving
    outbox.COMPACT_ABOVE = COMPACT_ABOVE
    for line in sys.stdin:
        told = json.loads(line)
        router = os.fork()
        if router == 0:
            return become_a_router(told)
        print(json.dumps({"pid": router}), flush=True)
        _, status = os.waitpid(router, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)
    return None


if __name__ == "__main__":
    main()
