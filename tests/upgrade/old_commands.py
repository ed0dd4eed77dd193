"""Commands of falsework 0.1.0, run by its own Python: as the command line runs them, but that they can be made to stop or fail.

The plan is the only argument: `{files, commands: {name: {arguments, …}}}`. All commands begin at once, each a fork of this
process, and write to `NAME.stdout` and `NAME.stderr` in the directory `files`. On stdout, a line of JSON each, with the
`command`'s name: its `pid`, the `run_id` of its run, the `url` where that is open for work, `stopped` when it is, `ended`
with its exit code. A command that is stopped (SIGSTOP) goes on for nobody: whoever asked for it kills it.

    stops_at    stop when this state is in the ledger
    stops_in    stop in the middle of `prepare` (a part of the bundle is there) or `deploy` (the server is started, its
                port is in no ledger)
    fails       `prepare`, `deploy`, `connect` or `shutdown` does not succeed; deploy only after a server was started
    loses       the connection is taken for lost as soon as it stands
    interrupts  as by Ctrl-C, as soon as workers may come
    beats       seconds between two heartbeats
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from falsework.architects import local
from falsework.engine import bundle, heartbeat, serving
from falsework.engine.cli import main, progress
from falsework.engine.errors import ConnectFailed, DeployFailed, PrepareFailed, ShutdownFailed

LOADED_LATE = (
    "encodings.idna",
    "falsework.engine.cli.commands",
    "falsework.engine.cli.launch",
    "falsework.engine.cli.recover",
    "falsework.engine.cli.results",
    "falsework.engine.cli.runs",
    "falsework.engine.cli.shutdown",
    "falsework.engine.cli.sweep",
    "sqlalchemy.dialects.sqlite",
)
"""Modules that a command loads when it needs them: loaded once, here, and not again by each fork."""
REASON = "the quay is closed"


def run_all(plan: dict[str, Any]) -> None:
    """Start every command, and say how each one ends. In a fork: become one of them."""
    names = {}
    for name, told in plan["commands"].items():
        pid = os.fork()
        if pid == 0:
            become(name, told, Path(plan["files"]))
            return
        names[pid] = name
        say(1, name, pid=pid)
    while names:
        pid, status = os.waitpid(-1, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            say(1, names[pid], stopped=True)
        else:
            say(1, names.pop(pid), ended=os.waitstatus_to_exitcode(status))


def become(name: str, told: dict[str, Any], files: Path) -> None:
    """A command. Ends in SystemExit, or by a signal."""
    events = os.dup(1)
    for descriptor, stream in ((1, "stdout"), (2, "stderr")):
        opened = os.open(files / f"{name}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    for number in (signal.SIGINT, signal.SIGHUP):  # a test run in the background ignores these
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tell(events, name, told)
    arrange(told)
    sys.argv = ["falsework", *told["arguments"]]
    main()


def say(descriptor: int, name: str, **told: Any) -> None:
    os.write(descriptor, json.dumps({"command": name, **told}).encode() + b"\n")


def stop() -> None:
    """Wait to be killed."""
    os.kill(os.getpid(), signal.SIGSTOP)


def tell(events: int, name: str, told: dict[str, Any]) -> None:
    """Say what becomes of the run, and stop or interrupt this process where that is asked for."""

    def begun(run_id: str) -> None:
        say(events, name, run_id=run_id)
        if told.get("stops_at") == "configured":
            stop()

    def published(url: str) -> None:
        say(events, name, url=url)
        if told.get("interrupts"):
            os.kill(os.getpid(), signal.SIGINT)

    def state(now: str) -> None:
        if told.get("stops_at") == now:
            stop()

    for method, then in (("begun", begun), ("published", published), ("state", state)):
        after(progress.PlainProgress, method, then)


def arrange(told: dict[str, Any]) -> None:
    """Have go wrong what is asked for."""
    match told.get("stops_in"):
        case "prepare":
            after(bundle, "copy_tree", lambda *anything: stop())
        case "deploy":
            setattr(local, "until_ready", lambda *anything: stop())  # noqa: B010 - the architect's, as it imported it
    match told.get("fails"):
        case "prepare":
            local.LocalArchitect.prepare = failing(PrepareFailed(REASON))
        case "deploy":
            setattr(local, "until_ready", failing(DeployFailed(REASON)))  # noqa: B010
        case "connect":
            local.WebSocketChannel.open = failing(ConnectFailed(REASON))
        case "shutdown":
            local.LocalArchitect.shutdown = failing(ShutdownFailed(REASON, [OSError(REASON)]))
    if told.get("loses"):
        lose_at_once()
    heartbeat.INTERVAL = told.get("beats", heartbeat.INTERVAL)


def after(owner: Any, name: str, then: Callable[..., None]) -> None:
    """Have something done each time that a function has returned; it gets what was told first."""
    original = getattr(owner, name)

    def extended(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        then(*arguments[1:2])
        return result

    setattr(owner, name, extended)


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*anything: Any, **options: Any) -> None:
        raise error

    return fail


def lose_at_once() -> None:
    connect = serving.Serving._connect

    async def connect_and_lose(self: Any) -> None:
        await connect(self)
        self._lost.put_nowait(self._run.channels[0].channel_id)

    serving.Serving._connect = connect_and_lose


if __name__ == "__main__":
    for module in LOADED_LATE:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    run_all(json.loads(sys.argv[1]))
