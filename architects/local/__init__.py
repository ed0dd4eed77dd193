"""A server on this machine: a router, several of them, or a server of one's own.

Processes and addresses as such are in machine/.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import LOCAL

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, LOCAL)
