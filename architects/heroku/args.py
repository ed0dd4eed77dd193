"""What a task file can say under `architect: {type: heroku, …}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from falsework.engine.contract.architect import ArchitectArgs
from falsework.engine.settings.fields import Duration

from ..shipping.router_args import WrittenSettings
from .names import check_app_name

OURS = "FALSEWORK_"
"""How the names of config vars begin that are falsework's own."""
RESERVED = ("PORT", "DYNO")
"""Config vars that Heroku sets itself."""

DynoSize = Literal[
    "eco",
    "basic",
    "standard-1x",
    "standard-2x",
    "performance-m",
    "performance-l",
    "performance-l-ram",
    "performance-xl",
    "performance-2xl",
]


def read_config_args(variables: Mapping[str, Any]) -> dict[str, str]:
    """The user's config vars as Heroku takes them: texts, numbers and truth values as they are written. Raises ValueError."""
    return {_checked_name(name): _text_of(name, value) for name, value in variables.items()}


@dataclass(frozen=True)
class HerokuArgs(WrittenSettings, ArchitectArgs):
    """`architect: {type: heroku, …}`. The first three are called as in Mephisto; docs/router.md has the router's."""

    heroku_app_name: str | None = field(default=None, metadata={"check": check_app_name})
    """What the app is called; there must be none of that name yet. Default: a name of falsework's own, `fw-RUN`."""
    heroku_team: str | None = None
    """The team that the app belongs to, and that is billed for it. Default: the account's own."""
    heroku_config_args: dict[str, Any] = field(default_factory=dict, metadata={"check": read_config_args})
    """Config vars for the app, beside falsework's own."""
    push: Literal["build", "git"] = "build"
    """How the bundle gets there: as an archive that the Platform API builds, or by `git push`."""
    router: Literal["python", "node"] = "python"
    node: str | None = None
    """The Node (20 or newer) of this machine that the packages of `router: node` are installed with, once."""
    dyno: DynoSize = "basic"
    """The size of the one dyno; `eco` falls asleep when nobody visits for half an hour."""
    region: str | None = None
    """Where it runs, such as us or eu. Default: where Heroku puts it."""
    self_destruct: bool = False
    """Let the app scale itself to nothing when its lease is over. For that it gets your token, which is worth a thought."""
    ready_timeout: Duration = field(default=120.0, metadata={"above": 0})
    """How long the server may take to answer, from the end of the build on."""
    request_timeout: Duration = field(default=20.0, metadata={"above": 0})
    """How long the Platform API may take for one answer."""


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name of a config var; allowed: letters, digits and _, no digit first")
    if name in RESERVED or name.upper().startswith(OURS):
        raise ValueError(f"{name} is set by {'Heroku' if name in RESERVED else 'falsework'}; leave it out")
    return name


def _text_of(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) or (isinstance(value, str) and "\0" not in value):
        return str(value)
    raise ValueError(f"{name} is neither a text nor a number")
