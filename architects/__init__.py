"""The backends. Each supplies only actions; order, retries, time-outs, journal and signals belong to the engine."""

from ..router.wire.moved import tell_of_modules
from .moved import MODULES

__all__ = ()

tell_of_modules(MODULES)
