"""A server on Heroku: an app for the run, made over the Platform API and deleted again.

What any backend needs to ship a router is in shipping/.
"""

from typing import TYPE_CHECKING

from ...router.wire.moved import tell_of_names
from ..moved import HEROKU

if not TYPE_CHECKING:  # which knows itself what is not here
    __getattr__ = tell_of_names(__name__, HEROKU)
