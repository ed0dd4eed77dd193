"""`python -m falsework.router`: one router on its own. Says `{"ready": {"port": N}}` on stdout, and logs on stderr."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import re
import signal
import sys
from pathlib import Path

from .journal import JournalDamaged
from .protocol import Limits
from .server import Router, Settings

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def main() -> None:
    """Parse the command line and serve until a signal or the end of the lease.

    Exits 0, 1 if it cannot start (one line on stderr says why), or 2 for wrong usage.
    """
    settings = _settings(_parser())
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        raise SystemExit(runner.run(_serve(settings)))


async def _serve(settings: Settings) -> int:
    try:
        router = Router(settings)
    except (OSError, JournalDamaged) as error:
        return _give_up(f"cannot use the data directory: {error}")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.over.set)
    try:
        port = await router.start()
    except OSError as error:
        await router.stop()
        return _give_up(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}")
    print(json.dumps({"ready": {"port": port}}), flush=True)
    await router.over.wait()
    await router.stop()
    return 0


def _give_up(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m falsework.router", description=__doc__)
    parser.add_argument("--static", type=Path, required=True, metavar="DIR", help="what browsers get; holds index.html")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="outbox and uploads")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=os.environ.get("PORT", "0"), help="0: any free one")
    parser.add_argument("--run-id", default="standalone")
    parser.add_argument(
        "--token-file", type=Path, metavar="F", help="holds the launcher's token (else FALSEWORK_TOKEN)"
    )
    parser.add_argument("--lease", type=_duration, default=900.0, help="how long to go on unheard, such as 15m")
    parser.add_argument("--grace", type=_duration, default=86400.0, help="how long to keep what nobody collected")
    parser.add_argument("--outbox", choices=("disk", "launcher"), default="disk")
    parser.add_argument("--open", action="store_true", help="take any launcher; on the loopback only")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE")
    return parser


def _settings(parser: argparse.ArgumentParser) -> Settings:
    args = parser.parse_args()
    try:
        limits = Limits().override(dict(limit.partition("=")[::2] for limit in args.limit))
        token = _token(args.token_file)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if token is None and not args.open:
        parser.error("no token: give --token-file or FALSEWORK_TOKEN, or say --open to take any launcher")
    if args.open and not _is_loopback(args.host):
        parser.error(f"--open takes any launcher, so it is for the loopback only, not for {args.host}")
    if not (args.static / "index.html").is_file():
        parser.error(f"{args.static} holds no index.html")
    return Settings(
        static=args.static,
        data=args.data,
        run_id=args.run_id,
        token=None if args.open else token,
        host=args.host,
        port=args.port,
        lease=args.lease,
        grace=args.grace,
        outbox=args.outbox,
        limits=limits,
    )


def _token(file: Path | None) -> str | None:
    token = file.read_text().strip() if file is not None else os.environ.pop("FALSEWORK_TOKEN", None)
    if token == "":
        raise ValueError("the token is empty")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, which is a number from 0 to 65535")
    return int(text)


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration, such as 90s, 15m or 24h")
    return float(match[1]) * _UNITS[match[2]]


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed: a lone packet takes about a quarter less time to the launcher and back."""
    try:
        from uvloop import Loop
    except ImportError:
        return None
    return Loop


if __name__ == "__main__":
    main()
