"""Writes `routes.caddy`, the gateway's routes, from `deploy.topology`: `python -m deploy.gateway.routes`."""

from __future__ import annotations

from pathlib import Path

from deploy.topology import HTTP_PORT, SERVICES, Part, route_pattern

FILE = Path(__file__).with_name("routes.caddy")

HEAD = """\
# Made by `python -m deploy.gateway.routes` from deploy/topology.py; a test compares. The first match wins.
"""


# Doubled braces are Caddy's own.
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

@{name}_pages path_regexp page ^/(?:(docs)/{name}|(openapi)/{name}(.json))$
handle @{name}_pages {{
	rewrite * /{{re.page.1}}{{re.page.2}}{{re.page.3}}
	reverse_proxy {upstream} {{
		import upstream
		import patience
	}}
}}
"""


def routes() -> str:
    """The text of `routes.caddy`."""
    return "\n".join([HEAD, *(_service(service) for service in SERVICES)])


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
