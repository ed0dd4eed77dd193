"""For tests, of falsework and of architects that others write: doubles in memory, and the contract that every architect keeps.

`ArchitectContract` needs pytest and pytest-asyncio, and is imported only when it is asked for; the doubles need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .doubles import SERVER as SERVER
from .doubles import IdleArchitect as IdleArchitect
from .doubles import IdleArgs as IdleArgs
from .doubles import IdleChannel as IdleChannel
from .doubles import InMemoryArchitect as InMemoryArchitect
from .misbehaving import BrokenArchitect as BrokenArchitect
from .misbehaving import FlakyArchitect as FlakyArchitect
from .misbehaving import ImmortalServer as ImmortalServer
from .misbehaving import LiarArchitect as LiarArchitect
from .misbehaving import MuleArchitect as MuleArchitect
from .misbehaving import NeverReady as NeverReady
from .misbehaving import SlowArchitect as SlowArchitect
from .misbehaving import StubbornArchitect as StubbornArchitect

if TYPE_CHECKING:
    from .contract import ArchitectContract as ArchitectContract
    from .trial import Trial as Trial

__all__ = (
    "SERVER",
    "ArchitectContract",
    "BrokenArchitect",
    "FlakyArchitect",
    "IdleArchitect",
    "IdleArgs",
    "IdleChannel",
    "ImmortalServer",
    "InMemoryArchitect",
    "LiarArchitect",
    "NeverReady",
    "SlowArchitect",
    "StubbornArchitect",
    "Trial",
)

WITH_ASSERTS = (
    "contract_of_deploying",
    "contract_of_interruption",
    "contract_of_looking",
    "contract_of_preparing",
    "contract_of_serving",
    "contract_of_shutdown",
    "contract_of_telling",
    "trial",
)
"""The modules whose failed assertions pytest explains."""


def __getattr__(name: str) -> Any:
    """What only a test asks for. Raises ImportError where pytest is missing."""
    if name not in ("ArchitectContract", "Trial"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import pytest
        import pytest_asyncio  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs pytest and pytest-asyncio: pip install pytest pytest-asyncio", name=error.name
        ) from error
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in WITH_ASSERTS))
    from . import contract, trial

    return contract.ArchitectContract if name == "ArchitectContract" else trial.Trial
