"""The sockets that a router listens on: opened once, and kept by whoever starts the router again when it dies."""

from __future__ import annotations

import errno
import socket

from ..door.settings import BACKLOG

NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name may stand for addresses of a kind that this machine does not have."""


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """One socket for each address of `host`, all on one port. Who connects waits in the queue. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            listeners.append(_bind(family, (address[0], port_of(listeners) if listeners else port, *address[2:])))
        except OSError as error:
            if error.errno not in NOT_HERE:
                close_listeners(listeners)
                raise
            missing = error
    if missing is not None and not listeners:
        raise missing
    return listeners


def port_of(listeners: list[socket.socket]) -> int:
    """Where they listen."""
    return int(listeners[0].getsockname()[1])


def close_listeners(listeners: list[socket.socket]) -> None:
    """May be repeated."""
    for listener in listeners:
        listener.close()


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
