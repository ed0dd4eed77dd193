"""The head of an HTTP/1.1 message, read from a connection and written again with other headers."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie


@dataclass(frozen=True)
class Head:
    """The first line of a message and its headers, in their order."""

    first_line: str
    headers: tuple[tuple[str, str], ...]

    @property
    def method(self) -> str:
        return self.first_line.partition(" ")[0]

    @property
    def target(self) -> str:
        return (self.first_line.split(" ") + [""])[1]

    @property
    def status(self) -> int:
        """Of an answer; 0 if it says none."""
        word = self.target
        return int(word) if word.isdigit() else 0

    @property
    def is_interim(self) -> bool:
        """Whether another answer follows, as after `100 Continue`."""
        return 100 <= self.status < 200 and self.status != 101

    @property
    def is_upgrade(self) -> bool:
        return "upgrade" in self.get("connection").lower()

    @property
    def cookies(self) -> dict[str, str]:
        try:
            return {name: morsel.value for name, morsel in SimpleCookie(self.get("cookie")).items()}
        except CookieError:
            return {}

    def get(self, name: str) -> str:
        """The first header of a name, in lower case; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def replacing(self, headers: Mapping[str, str]) -> Head:
        """A copy with these headers in the place of those of the same names."""
        names = {name.lower() for name in headers}
        kept = ((key, value) for key, value in self.headers if key.lower() not in names)
        return replace(self, headers=(*kept, *headers.items()))

    def adding(self, headers: Iterable[tuple[str, str]]) -> Head:
        return replace(self, headers=(*self.headers, *headers))

    def encoded(self) -> bytes:
        lines = [self.first_line, *(f"{key}: {value}" for key, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_head(reader: StreamReader) -> Head | None:
    """The next head; None if the connection ended, or says something else than HTTP."""
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first_line, *lines = text[:-4].split("\r\n")
    return Head(first_line, tuple((key, value.strip()) for key, _, value in (line.partition(":") for line in lines)))
