"""What the router answers to what it does not serve. No I/O."""

from __future__ import annotations

from .agreed import AGREED, Refusal, filled


class Refused(Exception):
    """A request that is not served: the HTTP status, a word for programs and a sentence for the worker."""

    def __init__(self, refusal: Refusal, **facts: object) -> None:
        """`facts` are those that the sentence speaks of."""
        self.status, self.error, self.retry_after = refusal.status, refusal.error, refusal.retry_after
        self.message = filled(refusal.message, **facts)
        super().__init__(self.message)

    @classmethod
    def of(cls, error: Malformed) -> Refused:
        """What is told of a packet, or of a body, that cannot be read."""
        return cls(AGREED.refusals.malformed, reason=error)


class Malformed(ValueError):
    """Bytes that are no packet; says what was expected."""

    def __init__(self, sentence: str, **facts: object) -> None:
        """`facts` are those that the sentence speaks of."""
        super().__init__(filled(sentence, **facts))

    @classmethod
    def expected(cls, what: str, reason: object, **facts: object) -> Malformed:
        """Of bytes that cannot be read: what they should have been, with the facts of that, and why they are not."""
        return cls(AGREED.malformed.expected, what=filled(what, **facts), reason=reason)
