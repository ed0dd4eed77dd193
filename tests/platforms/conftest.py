"""A platform for each test, and its user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ..tools import need
from .heroku import HerokuPlatform
from .pushing import Api


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[HerokuPlatform]:
    need("openssl", "git")
    async with HerokuPlatform(tmp_path) as platform:
        yield platform


@pytest.fixture
async def api(platform: HerokuPlatform) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(platform, session)
