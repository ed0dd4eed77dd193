"""The contract of every architect, as tests: subclass it, say which architect is meant, and pytest does the rest.

    class TestMyArchitect(ArchitectContract):
        @pytest.fixture
        def architect(self):
            return MyArchitect()

What else can be said about a backend, and what the tests can then do to it, is in backend.py. Needs pytest-asyncio, in any
mode. A test of each sentence of `Architect`'s docstrings; docs/architects.md shows how they are used.
"""

from __future__ import annotations

import pytest

from .contract_of_deploying import DeployingContract
from .contract_of_interruption import InterruptionContract
from .contract_of_looking import LookingContract
from .contract_of_preparing import PreparingContract
from .contract_of_serving import ServingContract
from .contract_of_shutdown import ShutdownContract
from .contract_of_telling import TellingContract


@pytest.mark.asyncio
class ArchitectContract(
    PreparingContract,
    DeployingContract,
    LookingContract,
    ShutdownContract,
    InterruptionContract,
    ServingContract,
    TellingContract,
):
    """All of it."""
