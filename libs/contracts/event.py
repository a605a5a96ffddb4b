"""The base of all events and the registry by which a reader finds the model of a type."""

import re
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """A fact in the past tense, with its version in its type: `pledge.PledgePlaced.v1`.

    Within one version a contract only grows, and only by fields with a default; an older reader ignores the
    fields that only a newer writer knows.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    source: ClassVar[str]

    def __init_subclass__(cls, *, type: str = "", **kwargs: Any) -> None:  # noqa: A002 - CloudEvents' own name
        super().__init_subclass__(**kwargs)
        if not type:
            return  # a base that several events share
        source, _, name_and_version = type.partition(".")
        if not source or not re.fullmatch(rf"{cls.__name__}\.v[1-9][0-9]*", name_and_version):
            msg = f"{cls.__name__} cannot have the type {type!r}: expected <service>.{cls.__name__}.v<number>"
            raise TypeError(msg)
        cls.type, cls.source = type, source

    @property
    def subject(self) -> UUID:
        """The aggregate this fact is about: the stream it belongs to."""
        raise NotImplementedError
