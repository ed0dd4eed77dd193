"""The table of states and triggers, its guard, and the pictures drawn from it. Pure.

What a run does when the table allows it is in run/.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import LIFECYCLE

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, LIFECYCLE)
