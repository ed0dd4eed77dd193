"""What a backend implements or is handed: architect, site, bundle, channel, provider, and the errors that it may raise.

Whoever writes one imports it from here; the modules may move. What drives a backend is in run/ and launch/; nothing here
opens a ledger or reads a task file. A name is loaded when it is first asked for, since a channel needs an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..channel.channel import Channel, PacketTooLarge, WebSocketChannel
    from ..channel.download import FileMissing, download
    from ..errors import (
        ArchitectError,
        BundleError,
        ChannelError,
        ConfigError,
        ConnectFailed,
        DeployFailed,
        FalseworkError,
        LimitReached,
        PrepareFailed,
        Problem,
        ShutdownFailed,
        TransientError,
    )
    from ..settings.sections import TaskArgs
    from .architect import Architect, ArchitectArgs, Guarantees, Leftover, Presence, Resource, Site
    from .bundle import Bundle, BundleChanged
    from .provider import Provider
    from .registry import architect_class, architects

_PLACES = {
    "..channel.channel": ("Channel", "PacketTooLarge", "WebSocketChannel"),
    "..channel.download": ("FileMissing", "download"),
    "..settings.sections": ("TaskArgs",),
    "..errors": (
        "ArchitectError",
        "BundleError",
        "ChannelError",
        "ConfigError",
        "ConnectFailed",
        "DeployFailed",
        "FalseworkError",
        "LimitReached",
        "PrepareFailed",
        "Problem",
        "ShutdownFailed",
        "TransientError",
    ),
    ".architect": ("Architect", "ArchitectArgs", "Guarantees", "Leftover", "Presence", "Resource", "Site"),
    ".bundle": ("Bundle", "BundleChanged"),
    ".provider": ("Provider",),
    ".registry": ("architect_class", "architects"),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = (
    "Architect",
    "ArchitectArgs",
    "ArchitectError",
    "Bundle",
    "BundleChanged",
    "BundleError",
    "Channel",
    "ChannelError",
    "ConfigError",
    "ConnectFailed",
    "DeployFailed",
    "FalseworkError",
    "FileMissing",
    "Guarantees",
    "Leftover",
    "LimitReached",
    "PacketTooLarge",
    "PrepareFailed",
    "Presence",
    "Problem",
    "Provider",
    "Resource",
    "ShutdownFailed",
    "Site",
    "TaskArgs",
    "TransientError",
    "WebSocketChannel",
    "architect_class",
    "architects",
    "download",
)


if not TYPE_CHECKING:  # which sees the imports above, and what is not among them

    def __getattr__(name: str) -> object:
        """Load what is asked for by its name. Raises ImportError where a library of its own is missing or broken."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULE_OF[name], __name__), name)
