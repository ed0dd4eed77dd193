"""The routers of one run on this machine: what each one is called, where it keeps its data, and whether it stands.

A run has one, or several that share its workers. The first is called like the run, the second `<run id>/2` and so on: that is
the name of its process in the ledger, and of the channel to it. From those names alone it is found again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from falsework.engine.contract.architect import Resource, Site
from falsework.engine.errors import ArchitectError

from ..machine import process
from ..machine.address import url_of
from ..machine.process import MarkedProcess, ProcessIdentity
from ..shipping.router_args import argument

PROCESS = "process"
"""The kind of the resources."""
DATA = "data"
"""In the run's directory: the data directory of the one router, or those of several, by their numbers."""


@dataclass(frozen=True)
class Replica:
    """One of the routers of a run, by its number from 1 on. `port` is None where it is not known (yet)."""

    number: int
    name: str
    data: Path
    identity: ProcessIdentity | None = None
    port: int | None = None

    @property
    def resource(self) -> Resource:
        """As it is announced."""
        return Resource(PROCESS, self.name)

    def stands(self, run_id: str) -> bool:
        """Whether a process of it runs, be it the recorded one or another. Raises ArchitectError if it may not be looked at."""
        if self.identity is not None and process.alive(self.identity, run_id):
            return True
        return any(data_flag(self.data) in found.command for found in process.marked(run_id))

    def may_stand(self, run_id: str) -> bool:
        """The same, where one that may not be looked at is not said to be gone."""
        try:
            return self.stands(run_id)
        except ArchitectError:
            return True


def planned(site: Site) -> list[Replica]:
    """The routers that the run is to have."""
    several = site.args.replicas > 1
    return [_replica(site, number, several) for number in range(1, site.args.replicas + 1)]


def recorded(site: Site) -> list[Replica]:
    """The routers that were announced and are not known to be gone, by number."""
    resources = {_number_of(resource.name): resource for resource in site.standing(PROCESS)}
    several = site.args.replicas > 1 or len(resources) > 1
    return [_replica(site, number, several, resources[number]) for number in sorted(resources)]


def data_flag(data: Path) -> str:
    """What tells a router its data directory, and tells a router's processes from those of the others."""
    return argument("data", data.resolve())


def url_at(site: Site, replica: Replica) -> str | None:
    """Where a router is reached from this machine, past any tunnel; None while its port is not known."""
    return None if replica.port is None else url_of(site.args.host, replica.port)


def name_of(run_id: str, number: int) -> str:
    """What the router of that number is called."""
    return run_id if number == 1 else f"{run_id}/{number}"


def name_of_process(found: MarkedProcess) -> str:
    """What the router is called that this process belongs to, by its command line."""
    begins = argument("data", "")
    flags = [flag.removeprefix(begins) for flag in found.command if flag.startswith(begins)]
    data = Path(flags[-1]) if flags else Path()
    is_one_of_several = data.parent.name == DATA and data.name.isdecimal()
    return name_of(found.run_id, int(data.name)) if is_one_of_several else found.run_id


def _number_of(name: str) -> int:
    _, _, number = name.partition("/")
    return int(number) if number else 1


def _replica(site: Site, number: int, several: bool, resource: Resource | None = None) -> Replica:
    facts = resource.facts if resource is not None else {}
    return Replica(
        number,
        name_of(site.run_id, number),
        site.directory / DATA / str(number) if several else site.directory / DATA,
        ProcessIdentity(facts["pid"], facts["started"]) if "pid" in facts else None,
        facts.get("port"),
    )
