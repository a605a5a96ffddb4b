"""Writes `routes.caddy`, the gateway's routes, from `deploy.topology`: `python -m deploy.gateway.routes`."""

from __future__ import annotations

from pathlib import Path

from deploy.topology import HTTP_PORT, SERVICES, Part, route_pattern

FILE = Path(__file__).with_name("routes.caddy")
CADDYFILE = Path(__file__).with_name("Caddyfile")  # Takes them in.

# Doubled braces are Caddy's own.
HEAD = """\
# Made by `python -m deploy.gateway.routes` from deploy/topology.py; a test compares. The first match wins.

redir / /docs
handle /docs {{
	header Content-Type "text/html; charset=utf-8"
	respond `{index}`
}}
"""

SERVICE = """\
# {name}: {listed}
@{name} path_regexp {pattern}
handle @{name} {{
	@reads method GET HEAD
	reverse_proxy @reads {upstream} {{
		import upstream
		import patience
	}}
	reverse_proxy {upstream} {{
		import upstream
	}}
}}
"""

INDEX = """\
<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Groundswell API</title><style>:root {{ color-scheme: light dark; font: 1.1rem/1.6 system-ui, sans-serif }}
body {{ margin: 2rem auto; max-width: 40rem; padding: 0 1rem }}</style>
<h1>Groundswell API</h1><p>Each service describes its own part, as a page and as an OpenAPI 3.1 document.</p>
<ul>{items}</ul></html>"""

ITEM = '<li><a href="/docs/{name}">{name}</a> (<a href="/openapi/{name}.json">OpenAPI</a>)</li>'


def routes() -> str:
    """The text of `routes.caddy`."""
    names = sorted(service.name for service in SERVICES)
    index = INDEX.format(items="".join(ITEM.format(name=name) for name in names))
    return "\n".join([HEAD.format(index=index), *(_service(service) for service in SERVICES)])


def _service(service: Part) -> str:
    patterns = "|".join(route_pattern(route).strip("^$") for route in service.routes)
    return SERVICE.format(
        name=service.name,
        listed=", ".join(service.routes),
        pattern=f"^(?:{patterns})$",
        upstream=f"{{${service.upstream_variable}:{service.name}:{HTTP_PORT}}}",
    )


if __name__ == "__main__":
    FILE.write_text(routes())
