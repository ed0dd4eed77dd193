"""The router's command line: what it may say, and the settings that it comes to."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from pathlib import Path

from ..wire.protocol import Limits, check_frame_ancestor, check_policy
from .settings import Settings

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def read_command_line(description: str | None) -> Settings:
    """The settings. Wrong usage ends the process with 2 and a line that says what is wrong; nothing was made by then."""
    parser = _parser(description)
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
        idle_timeout=args.idle_timeout,
        max_lifetime=args.max_lifetime,
        outbox=args.outbox,
        restart=args.restart,
        frame_ancestors=tuple(args.frame_ancestors),
        content_security_policy=args.csp,
        limits=limits,
    )


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m falsework.router", description=description)
    add = parser.add_argument
    add("--static", type=Path, required=True, metavar="DIR", help="what browsers get; holds index.html")
    add("--data", type=Path, required=True, metavar="DIR", help="outbox and uploads")
    add("--host", default="127.0.0.1")
    add("--port", type=_port, default=os.environ.get("PORT", "0"), help="0: any free one")
    add("--run-id", default="standalone")
    add("--token-file", type=Path, metavar="F", help="holds the launcher's token (else FALSEWORK_TOKEN)")
    add("--open", action="store_true", help="take any launcher; on the loopback only")
    add("--lease", type=_duration, default=900.0, metavar="D", help="how long to go on unheard, such as 15m")
    add("--grace", type=_duration, default=86400.0, metavar="D", help="how long to keep what nobody collected")
    add("--idle-timeout", type=_duration, metavar="D", help="how long to go on without a word from any worker")
    add("--max-lifetime", type=_duration, metavar="D", help="how old to get, restarts on the same data included")
    add("--restart", action="store_true", help="start again by itself after dying of a signal or an error")
    add("--outbox", choices=("disk", "launcher"), default="disk")
    add("--frame-ancestors", type=_frame_ancestor, action="append", default=[], metavar="ORIGIN", help=_MAY_FRAME)
    add("--csp", type=_policy, metavar="POLICY", help="a Content-Security-Policy in place of the strict one")
    add("--limit", action="append", default=[], metavar="NAME=VALUE")
    return parser


_MAY_FRAME = "a site that may show the task in a frame; repeatable (default: none may)"


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


def _frame_ancestor(text: str) -> str:
    try:
        check_frame_ancestor(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _policy(text: str) -> str:
    try:
        check_policy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
