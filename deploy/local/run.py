"""`make run`: starts the platform, prints where everything is and tokens to try it with, and stays until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import uuid
from types import FrameType

from rich.console import Console

from deploy.local import platform
from deploy.local.issuer import LIFETIME_SECONDS_MAX
from deploy.local.platform import LocalPlatform, People
from deploy.local.processes import ProcessFailedError
from deploy.local.servers import MissingProgramsError
from deploy.topology import HOST_PORTS

# The same people in every run, so that what they own is still theirs in the next one.
PEOPLE: People = {
    "creator": (uuid.UUID("00000000-0000-7000-8000-00000000000c"), ["creator"]),
    "backer 1": (uuid.UUID("00000000-0000-7000-8000-0000000000b1"), ["backer"]),
    "backer 2": (uuid.UUID("00000000-0000-7000-8000-0000000000b2"), ["backer"]),
    "backer 3": (uuid.UUID("00000000-0000-7000-8000-0000000000b3"), ["backer"]),
    "operator": (uuid.UUID("00000000-0000-7000-8000-0000000000e0"), ["operator"]),
}
WATCH_SECONDS = 2.0


def main() -> int:
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)  # A supervisor's stop ends everything just like Ctrl-C.
    try:
        with platform.start("run", people=PEOPLE, preferred_ports=HOST_PORTS, console=console) as started:
            show_addresses(started, console)
            show_tokens(started, console)
            with contextlib.suppress(KeyboardInterrupt):
                watch(started, console)
            console.print("Stopping …")
        console.print("Everything is stopped.")
    except KeyboardInterrupt:  # During the start, or a second one: what is left then, the guardian ends.
        console.print("Everything is stopped.")
    except (ProcessFailedError, MissingProgramsError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def show_addresses(started: LocalPlatform, console: Console) -> None:
    addresses = started.addresses
    console.print("\nGroundswell is up\n", style="bold")
    for where, what in (
        (addresses.gateway, "the gateway: all requests go here"),
        (addresses.docs, "the API pages of the six services, each to be tried as one of the people below"),
        (addresses.dashboard("<id>"), "a campaign's dashboard"),
        (addresses.mailbox, "every mail that was sent"),
        (addresses.sandbox_page, "the Stripe sandbox"),
        (str(started.logs), "one log per process"),
    ):
        console.out(f"  {where:<48} {what}", highlight=False)


def show_tokens(started: LocalPlatform, console: Console) -> None:
    """Printed plainly, so that it can be pasted into a shell; the tokens are good for a day."""
    console.print("\nPaste this into another terminal:\n", style="bold")
    for name, person in PEOPLE.items():
        token = started.mint(*person, LIFETIME_SECONDS_MAX)
        console.out(f"export {name.upper().replace(' ', '_')}={token}", highlight=False)
    console.out(f"\n{example(started.addresses.gateway)}\n\nCtrl-C stops everything.", highlight=False)


def example(gateway: str) -> str:
    return "\n".join(
        [
            f"curl -s {gateway}/campaigns \\",
            '  -H "Authorization: Bearer $CREATOR" -H "Idempotency-Key: $(uuidgen || date +%s%N)" \\',
            "  -H 'Content-Type: application/json' -d '{",
            '    "title": "A lamp that follows the sun", "story": "It turns, all day.",',
            '    "goal": {"amount": 500000, "currency": "EUR"}, "model": "all_or_nothing",',
            """    "deadline": "'"$(date -u -d '+1 day' +%Y-%m-%dT%H:%M:%SZ)"'"}'""",
        ]
    )


def watch(started: LocalPlatform, console: Console) -> None:
    """Stay; say so once if a process ends by itself."""
    told: set[str] = set()
    while True:
        for name, process in started.processes.items():
            if name not in told and not process.running:
                told.add(name)
                console.print(f"{name} has ended; its log is {process.log}", style="red", markup=False)
        time.sleep(WATCH_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
