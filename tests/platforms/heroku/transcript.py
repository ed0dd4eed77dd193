"""Text that grows while others read it: a build's output, an app's log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing


class Transcript:
    """Lines in the order in which they were written. Once it has ended nothing is added."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ended = False
        self._changed = asyncio.Event()

    def write(self, line: str) -> None:
        if not self.ended:
            self.lines.append(line)
            self._tell()

    def end(self) -> None:
        self.ended = True
        self._tell()

    async def follow(self, start: int = 0) -> AsyncGenerator[str, None]:
        """Every line from the given one on, as it is written, until the end."""
        while True:
            while start < len(self.lines):
                yield self.lines[start]
                start += 1
            if self.ended:
                return
            await self._changed.wait()

    async def until(self, words: str, start: int = 0) -> str:
        """Wait for the first line that holds these words. Raises EOFError if the text ends without."""
        async with aclosing(self.follow(start)) as lines:
            async for line in lines:
                if words in line:
                    return line
        raise EOFError(f"it ended without {words!r}: {self.lines[start:]}")

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
