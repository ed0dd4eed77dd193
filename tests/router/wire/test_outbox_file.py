"""The outbox's file is read alike by both routers and by a launcher; what one router writes, the other one reads."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from falsework.router.door.outbox import DiskOutbox
from falsework.router.wire.journal import JournalDamaged, read_records
from falsework.router.wire.outbox_file import Contents, read_outbox, read_packets
from falsework.router.wire.protocol import Envelope, UploadedFile

VECTORS = json.loads(Path(__file__).with_name("outbox_files.json").read_text())
"""Files and what they hold, as tests/node/outbox_file.test.js reads them too."""
WHOLE = [vector for vector in VECTORS if "held" in vector]
OF_NODE = Path(__file__).with_name("outbox_of_node.mjs")

FILE = UploadedFile("f", "ö.txt", "7bit", "text/plain", "d", "one.txt", "d/one.txt", 3)
HANDED_IN: list[dict[str, Any]] = [
    {"subject": "a1", "data": {"text": "the first"}},
    {"subject": "a2", "data": {"text": 'ö\n"\u2028\U0001f600'}, "submissionId": "s2"},
    {"subject": "a3", "data": [1, None, 2.5], "files": [FILE], "dataFile": "answer.json"},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.jsonl"


def named(vectors: list[Any]) -> Any:
    return pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in vectors])


def contents(path: Path) -> Contents:
    return read_outbox(path, read_records(path)[0])


@named(WHOLE)
def test_a_router_goes_on_with_what_a_file_holds(path: Path, vector: dict[str, Any]) -> None:
    path.write_bytes(vector["content"].encode())
    found, content = contents(path), path.read_bytes()
    assert (found.router_epoch, found.next) == (vector["router_epoch"], vector["next"])
    assert [held.number for held in found.held] == vector["held"]
    assert found.submitted == vector.get("submitted", {})
    for held in found.held:
        assert json.loads(content[held.offset : held.offset + held.length])["number"] == held.number
        assert list(held.files) == vector.get("files", {}).get(str(held.number), [])


@named(WHOLE)
def test_a_launcher_has_every_packet_that_was_handed_in(path: Path, vector: dict[str, Any]) -> None:
    path.write_bytes(vector["content"].encode())
    router_epoch, packets = read_packets(path)
    assert router_epoch == vector["router_epoch"]
    assert [packet.number for packet in packets] == vector["packets"]


@named([vector for vector in VECTORS if "damaged" in vector])
def test_damage_is_an_error_that_names_the_line(path: Path, vector: dict[str, Any]) -> None:
    path.write_bytes(vector["content"].encode())
    for read in (contents, read_packets):
        with pytest.raises(JournalDamaged) as raised:
            read(path)
        assert raised.value.line == vector["damaged"]
    assert path.read_bytes() == vector["content"].encode()


@named([vector for vector in VECTORS if "empty" in vector])
async def test_a_file_that_promises_nothing_is_begun(path: Path, vector: dict[str, Any]) -> None:
    path.write_bytes(vector["content"].encode())
    assert read_packets(path) == ("", [])
    outbox = DiskOutbox(path, lambda: None, lambda files: None)
    await outbox.close()
    assert contents(path) == Contents(outbox.router_epoch, 1)


def test_a_launcher_finds_nothing_where_there_is_no_file(path: Path) -> None:
    assert read_packets(path) == ("", [])


async def test_python_reads_what_node_wrote(path: Path) -> None:
    router_epoch = await node("write", path, [{**one, "files": files_of(one)} for one in HANDED_IN])
    found = contents(path)
    assert (found.router_epoch, found.next) == (router_epoch, 4)
    assert [(held.number, held.files) for held in found.held] == [(2, ()), (3, ("one.txt", "answer.json"))]
    assert found.submitted == {"a2": "s2"}
    packets = read_packets(path)[1]
    assert [(packet.number, json.loads(bytes(packet.data))) for packet in packets] == [
        (number, one["data"]) for number, one in enumerate(HANDED_IN, 1)
    ]
    assert [packet.files for packet in packets] == [[], [], [FILE]]
    assert [(packet.client_timestamp, packet.submission_id) for packet in packets][1] == (1.5, "s2")


async def test_node_reads_what_python_wrote(path: Path) -> None:
    outbox = DiskOutbox(path, lambda: None, lambda files: None)
    for one in HANDED_IN:
        envelope = Envelope("submit_unit", one["subject"], one["data"], 1.5)
        envelope.files, envelope.data_file = one.get("files", []), one.get("dataFile")
        envelope.submission_id = one.get("submissionId")
        await outbox.put(envelope)
    outbox.acknowledge(outbox.router_epoch, 1)
    await outbox.close()
    found = await node("read", path)
    assert (found["routerEpoch"], found["next"]) == (outbox.router_epoch, 4)
    assert [(held["number"], held["files"]) for held in found["held"]] == [(2, []), (3, ["one.txt", "answer.json"])]
    assert [held["packet"]["data"] for held in found["held"]] == [one["data"] for one in HANDED_IN[1:]]
    assert found["submitted"] == {"a2": "s2"}


async def node(verb: str, path: Path, said: object = None) -> Any:
    """What the router in Node makes of a file."""
    program = shutil.which("node")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI has node")
        pytest.skip("capability: node")
    command = [program, str(OF_NODE), verb, str(path)]
    ended = await asyncio.to_thread(
        subprocess.run, command, input=json.dumps(said), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def files_of(handed_in: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: getattr(file, name) for name in file.__struct_fields__} for file in handed_in.get("files", [])]
