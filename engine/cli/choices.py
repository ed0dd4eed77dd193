"""What may be chosen on the command line, by name."""

from __future__ import annotations

from enum import StrEnum


class Example(StrEnum):
    """The examples that `falsework new` starts from."""

    QUESTION = "question"
    CAPTION = "caption"
    CHAT = "chat"


class TableFormat(StrEnum):
    """What results are written as."""

    CSV = "csv"
    JSONL = "jsonl"


class PictureFormat(StrEnum):
    """What a diagram is drawn as."""

    MERMAID = "mermaid"
    SVG = "svg"


class SubmissionKind(StrEnum):
    """What workers hand in."""

    UNIT = "unit"
    METADATA = "metadata"
    ONBOARDING = "onboarding"
