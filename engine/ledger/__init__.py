"""The durable record of runs, their transitions and their resources, and whose a run is.

What may be recorded when is decided in lifecycle/ and run/; nothing here acts.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import LEDGER

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, LEDGER)
