"""Where the engine's modules of 0.1.0 are now. What a backend needs of them is all in the contract."""

from __future__ import annotations

from collections.abc import Mapping

from ..router.wire.moved import in_folders

MODULES: Mapping[str, str] = {
    **in_folders(
        "engine",
        {
            "engine.channel": "outgoing",
            "engine.contract": "copying manifest",
            "engine.launch": """endings farewell heartbeat launcher recovery salvage serving strays sweeper takeover
                workplace""",
            "engine.ledger": "owner",
            "engine.lifecycle": "diagram states",
            "engine.run": "account limit retry watching",
            "engine.work": "export json_line",
        },
    ),
    **in_folders("engine.config", {"engine.settings": "checks fields kinds quantities units"}),
    **dict.fromkeys(
        ("engine.architect", "engine.bundle", "engine.download", "engine.provider", "engine.registry"),
        "engine.contract",
    ),
    "engine.cancellation": "engine.contract.cancellation",
    "engine.ledger_database": "engine.ledger.database",
    "engine.ledger_tables": "engine.ledger.tables",
}

CHANNEL: Mapping[str, str] = {
    **dict.fromkeys(("Channel", "WebSocketChannel", "PacketTooLarge"), "engine.contract"),
    **dict.fromkeys(
        (
            "CLOSE_TIMEOUT",
            "CONNECTIONS_PER_LAUNCHER",
            "HANDSHAKE_TIMEOUT",
            "KEEP_ALIVE",
            "PING",
            "RECONNECT_PAUSE",
            "REFUSALS",
        ),
        "engine.channel.channel",
    ),
}
LEDGER: Mapping[str, str] = dict.fromkeys(("BUSY_TIMEOUT", "Ledger", "RunTakenOver"), "engine.ledger.ledger")
LIFECYCLE: Mapping[str, str] = {"Lifecycle": "engine.lifecycle.guard"}
RUN: Mapping[str, str] = {
    **dict.fromkeys(("CutOff", "LOG_FILE", "Run", "UNDO_LIMIT"), "engine.run.run"),
    **dict.fromkeys(("CLEANUP_LIMIT", "CLOSE_LIMIT", "LOG_LIMIT"), "engine.run.hands"),
}
"""The names of modules that a package took the name of: `from falsework.engine.run import Run`."""
