"""The outbox's file, and the names of what lies beside it in a router's data directory: nothing else knows the format.

The first record says the router's epoch and the number that comes next; each one after it is a packet that was handed in, or
says up to which number the launcher has everything. Either router goes on with what the other has left, and a launcher reads
it where no router is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from .agreed import AGREED
from .journal import JournalDamaged, read_records
from .protocol import Envelope, Packet, T, UploadedFile, encode

OUTBOX, UPLOADS = AGREED.data_directory.outbox, AGREED.data_directory.uploads
LOCK, BIRTH = AGREED.data_directory.lock, AGREED.data_directory.birth

Record = tuple[int, bytes]
"""One record of a journal: where it begins in the file, and its JSON."""


class Held(NamedTuple):
    """One packet that is held: its number, where it is and how long, and the uploads that it speaks of."""

    number: int
    offset: int
    length: int
    files: tuple[str, ...]


@dataclass
class Contents:
    """What an outbox's file holds. Numbers go on with `next`; `submitted` is by agent the id of its submission."""

    router_epoch: str
    next: int
    held: deque[Held] = field(default_factory=deque)
    submitted: dict[str, str] = field(default_factory=dict)


def header_record(router_epoch: str, number: int) -> bytes:
    """The first record of a file."""
    return encode(_Header(router_epoch, number))


def packet_record(envelope: Envelope) -> bytes:
    """The record of a packet."""
    return encode(envelope).replace(b"\n", b" ")  # in valid JSON a line break is only white space


def acked_record(number: int) -> bytes:
    """The record that says what the launcher has; it may be lost in a crash, then the launcher says it again."""
    return encode(_Acked(number))


def read_outbox(path: Path, records: Sequence[Record]) -> Contents:
    """What the records of a file say, of which there is one at least. Raises JournalDamaged."""
    header = _read(_HEADER, path, records, 0)
    contents = Contents(header.router_epoch, header.next)
    for index in range(1, len(records)):
        record = _read(_RECORD, path, records, index)
        if record.number is None:
            while contents.held and contents.held[0].number <= record.acked:
                contents.held.popleft()
            continue
        offset, line = records[index]
        contents.held.append(Held(record.number, offset, len(line), files_of(record)))
        contents.next = record.number + 1
        if record.submission_id is not None:
            contents.submitted[record.subject_id] = record.submission_id
    return contents


def read_packets(path: Path) -> tuple[str, list[Packet]]:
    """The router's epoch and every packet in its outbox, whether acknowledged or not; none if there is no file.

    Changes nothing. Raises JournalDamaged, OSError as it comes.
    """
    if not path.exists():
        return "", []
    records, _ = read_records(path)
    if not records:
        return "", []
    numbers = [_read(_RECORD, path, records, index).number for index in range(len(records))]
    held = [index for index, number in enumerate(numbers) if number is not None]
    return _read(_HEADER, path, records, 0).router_epoch, [_read(_PACKET, path, records, index) for index in held]


def files_of(packet: Envelope | _Record) -> tuple[str, ...]:
    """The router's names of the uploads that a packet speaks of."""
    names = [file.filename for file in packet.files]
    return (*names, packet.data_file) if packet.data_file is not None else tuple(names)


class _Header(msgspec.Struct):
    router_epoch: str
    next: int


class _Acked(msgspec.Struct):
    acked: int


class _Record(msgspec.Struct):
    number: int | None = None
    acked: int = 0
    subject_id: str = ""
    files: list[UploadedFile] = []
    data_file: str | None = None
    submission_id: str | None = None


_HEADER = msgspec.json.Decoder(_Header)
_RECORD = msgspec.json.Decoder(_Record)
_PACKET = msgspec.json.Decoder(Packet)


def _read(decoder: msgspec.json.Decoder[T], path: Path, records: Sequence[Record], index: int) -> T:
    try:
        return decoder.decode(records[index][1])
    except msgspec.MsgspecError as error:
        raise JournalDamaged(path, index + 1) from error
