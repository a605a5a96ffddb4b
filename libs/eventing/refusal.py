"""Why a command was not done, in words for the person who sent it."""

from typing import ClassVar


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A rule of the domain says no. Nothing was recorded, and the same command may be accepted later.

    `facts` are JSON values that go into the problem document beside the text, such as the cutoff time.
    """

    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "The command was refused"
    status: ClassVar[int] = 409

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class Unavailable(Exception):  # noqa: N818 - the same
    """A backing server is away or the service is full: try again later.

    The command may or may not be done; sending it again with its Idempotency-Key finds out.
    """

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
