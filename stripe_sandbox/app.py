"""Composition root: settings in, an ASGI application out, and the `stripe-sandbox` command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
import typer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stripe_sandbox.admin import Admin
from stripe_sandbox.errors import StripeError
from stripe_sandbox.protocol import StripeHttp
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.server import serve as run_server
from stripe_sandbox.settings import Settings

TICK_SECONDS = 0.5  # How late the end of a hold may show while nobody asks.
DEFAULT_PORT = 12111

cli = typer.Typer(help="A local provider that speaks the part of Stripe's API that Groundswell uses.")


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The whole sandbox. Webhooks go out and holds expire by themselves while its lifespan runs."""
    sandbox = Sandbox(settings or Settings())
    stripe = StripeHttp(sandbox)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sandbox.sender.start()
        ticking = asyncio.create_task(_tick(sandbox))
        yield
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await sandbox.sender.stop()

    admin = Starlette(
        routes=Admin(sandbox).routes(),
        lifespan=lifespan,
        exception_handlers={404: _unknown, StripeError: _refused},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        to_stripe = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (stripe if to_stripe else admin)(scope, receive, send)

    return app


@cli.callback()
def main() -> None:
    """Keep `serve` a command of its own."""


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on")] = DEFAULT_PORT,
) -> None:
    """Serve until SIGINT or SIGTERM; settings from the environment, prefix STRIPE_SANDBOX_."""
    run_server(create_app(), host, port)


async def _tick(sandbox: Sandbox) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        sandbox.tick()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StripeError)
    return Response(orjson.dumps(error.body()), error.status, media_type="application/json")


async def _unknown(request: Request, _: Exception) -> Response:
    return await _refused(request, StripeError("Unrecognized request URL.", status=404))
