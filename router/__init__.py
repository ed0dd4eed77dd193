"""The router: routes packets between workers' browsers and the launcher. A leaf: it runs alone on a bare host."""

from .wire.moved import ROUTER, in_folders, tell_of_modules

__all__ = ()

tell_of_modules({**in_folders("router", ROUTER), "router.adoption": "router.process.supervisor"})
