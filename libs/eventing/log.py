"""Logs: one JSON object per line on stdout, from our own code and from every library alike.

Each line has service, level, time, event, and the correlation and trace ids of what is being done. Bodies and
tokens are never passed to a logger; should a secret slip into a message or traceback, it is masked on the way.
"""

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
traceparent: ContextVar[str] = ContextVar("traceparent", default="")

# Their INFO lines tell about every connection or message; at 2 500 requests a second that is noise.
_CHATTY = ("aio_pika", "aiormq", "alembic", "asyncio", "faststream", "httpx", "urllib3")

_MASKED = re.compile(
    r"(?P<url>://[^:/@\s\"]*:)[^@\s\"]+(?=@)"  # the password of an address
    r"|(?P<bearer>[Bb]earer )[\w.~+/=-]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a token without its scheme
    r"|\b(?:sk|rk|whsec)_\w+"  # the provider's keys
)


def _mask(line: str) -> str:
    return _MASKED.sub(lambda found: f"{found['url'] or found['bearer'] or ''}***", line)


def _ids(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    if correlation := correlation_id.get():
        line.setdefault("correlation_id", correlation)
    if trace := traceparent.get():
        line.setdefault("trace_id", trace[3:35])
    return line


# Libraries quote values in their errors: pydantic the input, Postgres the row.
_QUOTED = re.compile(r"(?<=input_value=).*?(?=, input_type=)|(?<=\nDETAIL:  ).*")


def _quote_nothing(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    if "exception" in line:
        line["exception"] = _QUOTED.sub("***", line["exception"])
    return line


class _Masked:
    """Writes a line to stdout without the secrets in it."""

    def __init__(self) -> None:
        self._render = structlog.processors.JSONRenderer()

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> str:
        rendered = self._render(logger, method, line)
        return _mask(rendered if isinstance(rendered, str) else rendered.decode())


def configure(service: str, level: str = "INFO") -> None:
    """Send all logs of this process to stdout as JSON. Called once, at start."""

    def name(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line["service"] = service
        return line

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name,
        _ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _quote_nothing,
    ]
    structlog.configure(
        processors=[*shared, _Masked()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Masked()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get(name: str = "") -> Any:
    """A structlog logger. `name` says which part of the house speaks."""
    return structlog.get_logger(part=name) if name else structlog.get_logger()
