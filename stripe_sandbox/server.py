"""Runs the application under uvicorn: httptools, uvloop, and a way to drop a connection."""

import gc

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stripe_sandbox.protocol import ABORT

STOP_SECONDS = 5  # Requests under way may end; a delayed answer is cut off then.
BACKLOG = 2_048
IDLE_SECONDS = 75  # Longer than clients keep a connection: one that is closed on them looks like an answer lost.
GARBAGE_OBJECTS = 50_000  # Records live for ever and form no cycles: looking for some among them is in vain.


class DroppableProtocol(HttpToolsProtocol):
    """Gives the application a way to close the connection without an answer."""

    def on_headers_complete(self) -> None:
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        super().on_headers_complete()


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Until SIGINT or SIGTERM."""
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=DroppableProtocol,
        loop="uvloop",
        ws="none",
        access_log=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
