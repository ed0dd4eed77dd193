"""What stands at the providers with falsework's mark and in no run of the ledger: the ledger was lost, or it was told wrongly.

The mark is all that is known of a stray, and it is enough to take it down. What it held for its launcher is not collected.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from ..contract.architect import Leftover, Presence, Resource, Site
from ..contract.registry import architect_class, architects
from ..directories import run_location
from ..errors import ArchitectError, FalseworkError
from ..ledger.ledger import Ledger
from ..run.hands import Hands, leftovers
from ..run.limit import Limit
from ..run.retry import until_down
from ..settings.sections import LifecycleArgs, ShutdownArgs, TaskArgs
from .takeover import Settings, site_of


class Stray(NamedTuple):
    """One run's leftovers at one provider."""

    architect: str
    run_id: str
    leftovers: tuple[Leftover, ...]


async def find_strays(ledger: Ledger, say: Callable[[str], None], *, elsewhere: bool = False) -> AsyncIterator[Stray]:
    """What stands at every provider that can be asked, and of which no run of the ledger that goes on knows.

    Only runs that were launched from this $FALSEWORK_HOME, unless `elsewhere`: others may have a launcher that lives.
    """
    known = {record.run_id for record in ledger.runs()}
    for name in architects():
        try:
            found = await leftovers(name, say)
        except FalseworkError as error:
            say(f"{name} cannot be asked what stands there: {error}")
            continue
        for run_id in sorted({one.run_id for one in found} - known):
            if not elsewhere and not run_location(run_id).is_dir():
                say(f"{run_id} at {name} was not launched from here; --elsewhere takes it down as well")
                continue
            yield Stray(name, run_id, tuple(one for one in found if one.run_id == run_id))


async def end_stray(stray: Stray, say: Callable[[str], None]) -> None:
    """Take a stray down and see that it is gone; tried again as for any run. Raises ShutdownFailed or ArchitectError."""
    hands, settings = Hands.of(stray.architect, _site_of(stray), say), ShutdownArgs()
    limit = Limit(settings.timeout, "lifecycle.shutdown.timeout")

    async def attempt() -> None:
        await hands.shutdown(limit)
        await _see_it_gone(hands)

    await until_down(attempt, settings, limit, say)


def _site_of(stray: Stray) -> Site:
    directory = run_location(stray.run_id)
    try:
        args = architect_class(stray.architect).ArgsClass(type=stray.architect)
    except TypeError as error:
        raise ArchitectError(f"{stray.architect} takes nothing down without the run's settings") from error
    settings = Settings(TaskArgs(stray.run_id, static=directory, units=directory), args, LifecycleArgs())
    site = site_of(stray.run_id, directory, settings, token="")
    site.resources = [Resource(one.kind, one.name) for one in stray.leftovers]
    return site


async def _see_it_gone(hands: Hands) -> None:
    presence = await hands.probe()
    if presence is not Presence.GONE:
        raise ArchitectError(
            f"the server of {hands.site.run_id} is {presence}, not gone, after it was taken down{hands.trouble}"
        )
