"""Looking before anything is made whether a run could go to Heroku. Creates nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

from falsework.engine.errors import ArchitectError, Problem

from ..local.preflight import problems_of_limits
from ..shipping.node_binary import problems_of_node
from ..shipping.node_dependencies import are_installed, what_runs
from ..shipping.routers import NODE_SOURCE
from .api import HerokuApi, heroku
from .args import HerokuArgs, read_config_args
from .errors import ADVICE, NoCredentials, Refused
from .names import check_app_name
from .rows import HerokuAccount


async def problems_of_settings(args: HerokuArgs) -> list[Problem]:
    """All that is wrong, whether with the task file, this machine or the account. Each names the setting it is about."""
    problems = [*problems_of_limits(args.limits), *_problems_of_texts(args)]
    problems += await asyncio.to_thread(_problems_of_tools, args)
    try:
        async with heroku(args.request_timeout) as api:
            problems += [problem async for problem in _problems_of_account(api, args)]
    except ArchitectError as error:
        problems.append(Problem(str(error), key="architect.type"))
    return problems


def _problems_of_texts(args: HerokuArgs) -> list[Problem]:
    """The same as the task file's schema says, for who made the settings otherwise."""
    problems = []
    try:
        read_config_args(args.heroku_config_args)
    except ValueError as error:
        problems.append(Problem(str(error), key="architect.heroku_config_args"))
    if args.heroku_app_name is not None:
        try:
            check_app_name(args.heroku_app_name)
        except ValueError as error:
            problems.append(Problem(str(error), key="architect.heroku_app_name"))
    return problems


def _problems_of_tools(args: HerokuArgs) -> list[Problem]:
    problems = []
    if args.push == "git" and shutil.which("git") is None:
        problems.append(Problem("there is no git here; install it, or leave `push: build`", key="architect.push"))
    if args.router == "node":
        problems += problems_of_node(args.node, npm_is_needed=not are_installed(NODE_SOURCE, what_runs))
    return problems


async def _problems_of_account(api: HerokuApi, args: HerokuArgs) -> AsyncIterator[Problem]:
    account = await _account(api)
    if args.heroku_team is None:
        if not account.verified:
            yield Problem(f"{account.email} may make no apps; {ADVICE[402]}", key="architect.type")
    elif args.heroku_team not in (teams := await api.teams()):
        known = f"its teams: {', '.join(sorted(teams))}" if teams else "it has none"
        yield Problem(f"{account.email} is in no team {args.heroku_team!r}; {known}", key="architect.heroku_team")
    if args.heroku_app_name is not None and await api.is_taken(args.heroku_app_name):
        yield Problem(
            f"there is an app {args.heroku_app_name} already, and falsework deletes only what it made itself; choose "
            f"another name, or leave it out",
            key="architect.heroku_app_name",
        )


async def _account(api: HerokuApi) -> HerokuAccount:
    try:
        return await api.account()
    except Refused as refusal:
        raise NoCredentials(str(refusal)) from refusal
