"""The router's command line, made from the table of what it can be told; and the settings that it comes to."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..door.settings import Settings
from ..wire.protocol import Limits, check_frame_ancestor, check_policy
from ..wire.router_args import Flag, Kind, flags

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def read_command_line(description: str | None) -> Settings:
    """The settings. Wrong usage ends the process with 2 and a line that says what is wrong; nothing was made by then."""
    parser = _parser(description)
    args = parser.parse_args()
    args.limits = dict(limit.partition("=")[::2] for limit in args.limits)
    try:
        Limits().override(args.limits)
        token = _token(args.token_file)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if token is None and not args.open:
        parser.error("no token: give --token-file or FALSEWORK_TOKEN, or say --open to take any launcher")
    if args.open and not _is_loopback(args.host):
        parser.error(f"--open takes any launcher, so it is for the loopback only, not for {args.host}")
    if not (args.static / "index.html").is_file():
        parser.error(f"{args.static} holds no index.html")
    return Settings(**vars(args), token=None if args.open else token)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m falsework.router", description=description)
    for flag in flags():
        parser.add_argument(f"--{flag.name}", dest=flag.field, help=_help(flag), **_options(flag))
    return parser


def _help(flag: Flag) -> str:
    """With the default where that is a word: what is counted says it in its own help."""
    default = f" (default: {flag.default})" if isinstance(flag.default, str) else ""
    return f"{flag.help}{default}".replace("%", "%%")


def _options(flag: Flag) -> dict[str, Any]:
    """How argparse takes a flag."""
    if flag.kind is Kind.SWITCH:
        return {"action": "store_true"}
    default = [] if flag.is_repeatable else flag.default
    if flag.falls_back_on is not None:
        default = os.environ.get(flag.falls_back_on, default)
    return {
        "action": "append" if flag.is_repeatable else "store",
        "type": _READERS[flag.kind],
        "choices": flag.choices or None,
        "required": flag.is_required,
        "metavar": flag.metavar,
        "default": default,
    }


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


_READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.TEXT: str,
    Kind.PATH: Path,
    Kind.PORT: _port,
    Kind.DURATION: _duration,
    Kind.CHOICE: str,
    Kind.ORIGIN: _frame_ancestor,
    Kind.POLICY: _policy,
    Kind.LIMITS: str,
}
