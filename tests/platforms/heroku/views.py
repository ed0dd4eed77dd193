"""What the API shows of an app, its dynos, its builds: the shapes of Heroku's JSON."""

from __future__ import annotations

import uuid
from typing import Any

from .app import AFFINITY, App
from .build import Build
from .dyno import Dyno

Row = dict[str, Any]
FEATURES = (AFFINITY, "preboot", "log-runtime-metrics")


def account_row(email: str, verified: bool) -> Row:
    return {
        "id": "01234567-89ab-cdef-0123-456789abcdef",
        "email": email,
        "name": None,
        "verified": verified,
        "beta": False,
    }


def app_row(app: App) -> Row:
    return {
        "id": app.id,
        "name": app.name,
        "acm": False,
        "archived_at": None,
        "build_stack": {"id": app.stack, "name": app.stack},
        "buildpack_provided_description": None,
        "created_at": app.created_at,
        "generation": {"name": "cedar"},
        "git_url": app.git_url,
        "internal_routing": None,
        "joined": True,
        "locked": False,
        "maintenance": False,
        "organization": _team(app),
        "owner": {"id": _id_of(app.owner), "email": app.owner},
        "region": {"id": app.region, "name": app.region},
        "released_at": app.created_at,
        "repo_size": None,
        "slug_size": None,
        "space": None,
        "stack": {"id": app.stack, "name": app.stack},
        "team": _team(app),
        "updated_at": app.created_at,
        "web_url": app.web_url,
    }


def feature_row(app: App, name: str) -> Row:
    return {"id": _id_of(name), "name": name, "state": "general", "enabled": name in app.features}


def domain_row(app: App) -> Row:
    return {"id": _id_of(app.hostname), "hostname": app.hostname, "kind": "heroku", "cname": None, "status": "none"}


def formation_rows(app: App) -> list[Row]:
    return [
        {
            "id": f"{app.id}-{name}",
            "app": {"id": app.id, "name": app.name},
            "type": name,
            "command": app.process_types.get(name, ""),
            "quantity": quantity,
            "size": size.capitalize(),
        }
        for name, (quantity, size) in app.formation.items()
    ]


def release_rows(app: App) -> list[Row]:
    """Newest first."""
    described = reversed(list(enumerate(app.releases, start=1)))
    return [
        {"version": n, "description": text, "status": "succeeded", "user": {"email": app.owner}}
        for n, text in described
    ]


def dyno_row(app: App, dyno: Dyno) -> Row:
    return {
        "id": dyno.id,
        "name": dyno.name,
        "app": {"id": app.id, "name": app.name},
        "type": dyno.type,
        "command": dyno.command,
        "state": dyno.state,
        "size": app.formation.get(dyno.type, (0, "basic"))[1].capitalize(),
        "release": {"version": app.version},
        "attach_url": None,
        "created_at": dyno.started_at,
        "updated_at": dyno.changed_at,
    }


def build_row(build: Build, base_url: str, user: str) -> Row:
    return {
        "id": build.id,
        "app": {"id": build.app.id},
        "status": build.status,
        "output_stream_url": f"{base_url}/streams/{build.id}",
        "source_blob": {"url": build.source, "version": build.version, "checksum": None},
        "release": {"id": f"{build.app.id}-v{build.release_version}"} if build.release_version else None,
        "slug": {"id": build.id} if build.release_version else None,
        "stack": build.app.stack,
        "user": {"email": user},
        "created_at": build.created_at,
        "updated_at": build.updated_at,
    }


def _team(app: App) -> Row | None:
    return None if app.team is None else {"id": _id_of(app.team), "name": app.team}


def _id_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
