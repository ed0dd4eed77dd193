"""One run: the order of its actions, their limits and retries, and the only calls of its architect.

Where a run comes from and what becomes of it later is in launch/.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import RUN

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, RUN)
