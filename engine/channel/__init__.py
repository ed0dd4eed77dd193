"""The launcher's connection to one router: packets, downloads, and what waits to be sent.

What the packets mean is the foreman's (work/); who opens and closes a channel is run/.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import CHANNEL

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, CHANNEL)
