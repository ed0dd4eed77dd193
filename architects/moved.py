"""Where the architects' modules of 0.1.0 are now."""

from __future__ import annotations

from collections.abc import Mapping

from ..router.wire.moved import in_folders

MODULES: Mapping[str, str] = {
    **in_folders(
        "architects",
        {
            "architects.local": "preflight replica replica_channels replica_files server_process server_source",
            "architects.machine": "address child mark process",
            "architects.shipping": "node_binary node_dependencies routers",
        },
    ),
    "architects.replica_start": "architects.local.start",
    "architects.router_limits": "architects.shipping.router_args",
    "architects.mock.wire": "architects.mock.board",
    **in_folders(
        "architects",
        {
            "architects.heroku": """api args build bundle creation credentials errors http log names ownership preflight push
                readiness removal rows start"""
        },
        prefix="heroku_",
    ),
}

HEROKU: Mapping[str, str] = dict.fromkeys(("HerokuArchitect", "LOOKS_AT_ONCE"), "architects.heroku.architect")
LOCAL: Mapping[str, str] = {
    **dict.fromkeys(("ANSWER_LIMIT", "LocalArchitect"), "architects.local.architect"),
    "LocalArgs": "architects.local.args",
}
"""The names of modules that a package took the name of: `from falsework.architects.local import LocalArchitect`."""
