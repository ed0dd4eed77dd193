"""The contract's class for each of the breaches. Run by test_contract_breaches.py in a process of its own."""

from __future__ import annotations

import os

import breaking_deploying  # noqa: F401 - these four enter their breaches
import breaking_looking
import breaking_preparing  # noqa: F401
import breaking_shutdown
import serving
from breaches import BREACHES
from harbour import HarbourArchitect, HarbourContract

WITH_ANOTHER_PROCESS = (
    HarbourArchitect,
    breaking_shutdown.KeepsItsStateInTheProcess,
    breaking_shutdown.KeepsItsStateToItself,
)
"""Only these harbours are put before another process, which takes a second each."""
IMPATIENT = {
    breaking_looking.WaitsForAnAnswerForEver: 0.3,
    serving.IgnoresTheLease: 8.0,
    serving.ForgetsTheLifetime: 8.0,
    serving.ForgetsTheIdleTimeout: 8.0,
}
"""Seconds for those that never end."""

os.fsync = lambda file: None  # nobody pulls the plug here, and a thousand bundles are sealed

for breach in BREACHES:
    name = f"Test{breach.__name__}"
    contract = HarbourContract if issubclass(breach, HarbourArchitect) else serving.LocalServing
    supplied = {
        "architect_class": breach,
        "outlives_its_process": breach in WITH_ANOTHER_PROCESS,
        "patience": IMPATIENT.get(breach, contract.patience),
    }
    globals()[name] = type(name, (contract,), supplied)
