"""Where workers come from. A provider publishes only after `connected`, and withdraws first at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..report import Reporter
from ..settings.sections import ProviderArgs


class Provider(ABC):
    """Tells workers of the task, and stops telling them."""

    @abstractmethod
    async def publish(self, url: str) -> None:
        """Let workers know where the task is."""

    @abstractmethod
    async def withdraw(self) -> None:
        """Let no more workers know. May be repeated, also where nothing was published."""


class LinkProvider(Provider):
    """Hands the URL to whoever launched the task, who gives it to the workers."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    async def publish(self, url: str) -> None:
        self._reporter.published(url)

    async def withdraw(self) -> None:
        """A link cannot be taken back; the server tells whoever still follows it that the task is finished."""


def make_provider(args: ProviderArgs, reporter: Reporter) -> Provider:
    """The provider of a task file."""
    return {"link": LinkProvider}[args.type](reporter)
