"""The engine: the lifecycle of a run, its guarantee, and the launcher that drives it.

What stands here is public, and changes only with a line under Changes in the README: today every error that falsework
raises. `launch`, to run a task from Python, will stand beside them; until then a task is launched by the command line.
Whoever writes a backend has `falsework.engine.contract` and `falsework.engine.testing`; other modules may move.
"""

from ..router.wire.moved import tell_of_modules
from .errors import (
    ArchitectError,
    BundleError,
    ChannelError,
    ConfigError,
    ConnectFailed,
    DeployFailed,
    FalseworkError,
    IllegalTransition,
    LedgerError,
    LimitReached,
    PrepareFailed,
    Problem,
    ShutdownFailed,
    TransientError,
)
from .moved import MODULES

__all__ = (
    "ArchitectError",
    "BundleError",
    "ChannelError",
    "ConfigError",
    "ConnectFailed",
    "DeployFailed",
    "FalseworkError",
    "IllegalTransition",
    "LedgerError",
    "LimitReached",
    "PrepareFailed",
    "Problem",
    "ShutdownFailed",
    "TransientError",
)

tell_of_modules(MODULES)
