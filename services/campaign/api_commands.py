"""How a creator's command comes in over HTTP: who sends it, under which key (DOMAIN P10, H2)."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from campaign.domain_refusals import CampaignNotFound, NotYourCampaign
from contracts.ids import PersonId
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require

# Why a command about a campaign may be refused, whatever it is.
COMMAND: Final = (Forbidden, CampaignNotFound, NotYourCampaign)


@dataclass(frozen=True)
class CommandSender:
    """A creator who sends a command, under which key and to which address."""

    person_id: PersonId
    key: str
    method: str
    path: str


async def _sender(
    creator: Annotated[Principal, require(Role.CREATOR)], key: IdempotencyKey, request: Request
) -> CommandSender:
    return CommandSender(creator.person_id, key, request.method, request.url.path)


Sender = Annotated[CommandSender, Depends(_sender)]


class Commands:
    """Runs a command under its sender's Idempotency-Key (DOMAIN P10)."""

    def __init__(self, runtime: Runtime) -> None:
        self._commit = runtime.commit

    async def run(self, command: Any, sender: CommandSender, body: BaseModel | None = None) -> dict[str, Any]:
        fingerprint = command_fingerprint(sender.method, sender.path, body)
        idempotency = Idempotency(sender.person_id, sender.key, fingerprint)
        return dict(await self._commit.execute(command, idempotency=idempotency))
