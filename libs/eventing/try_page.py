"""The page on which a service's API can be read and tried (DOMAIN H1): Swagger UI, asked of nobody but the service.

The package fastapi-offline carries Swagger UI's files. In development the page offers people to act as, each with a
token (`api_page_tokens`); without that setting it holds no token, and a person pastes one.
"""

from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Final

from fastapi import FastAPI, Request
from pydantic import SecretStr
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

_HEADERS: Final = {
    # Nothing of the page comes from elsewhere or goes elsewhere, whatever Swagger UI's own defaults are.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",  # it may hold tokens
}
_PAGE: Final = Template("""\
<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><link rel="icon" href="$files/favicon.png">
<link rel="stylesheet" href="$files/swagger-ui.css"><link rel="stylesheet" href="$files/try.css">
$people<div id="api"></div>
<script src="$files/swagger-ui-bundle.js"></script>
<script src="$files/try.js" data-openapi="$openapi"></script></html>
""")
_PERSON: Final = Template(
    '<label><input type="radio" name="person" value="$token" data-name="$name" $checked> $name</label>\n'
)


def add(app: FastAPI, service: str, tokens: Mapping[str, SecretStr]) -> None:
    """`/docs/<service>` and `/openapi/<service>.json`, the same under the gateway and directly; `tokens` by person."""
    openapi_url, files = f"/openapi/{service}.json", f"/docs/{service}/files"
    page = _PAGE.substitute(title=escape(app.title), openapi=openapi_url, files=files, people=_people(tokens))

    async def openapi(_request: Request) -> Response:
        return JSONResponse(app.openapi())

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=_HEADERS)

    for path in ("/openapi.json", openapi_url):
        app.add_route(path, openapi, include_in_schema=False)
    for path in ("/docs", f"/docs/{service}"):
        app.add_route(path, docs, include_in_schema=False)
    app.mount(files, StaticFiles(packages=[("eventing", "page"), ("fastapi_offline", "static")]))


def _people(tokens: Mapping[str, SecretStr]) -> str:
    return "" if not tokens else f"<fieldset><legend>Try it as</legend>\n{''.join(_choices(tokens))}</fieldset>\n"


def _choices(tokens: Mapping[str, SecretStr]) -> Iterator[str]:
    yield _PERSON.substitute(name="nobody", token="", checked="checked")
    for name, token in tokens.items():
        yield _PERSON.substitute(name=escape(name), token=escape(token.get_secret_value()), checked="")
