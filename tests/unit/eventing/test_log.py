"""Logs are JSON from every source, carry the ids of what is being done and mask secrets."""

import json
import logging
import subprocess
import sys

import pytest

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def logged(code: str) -> list[dict[str, str]]:
    """What a process that runs this code logs: configuring logs is for the life of a process."""
    prelude = "import logging\nimport structlog\nfrom eventing import log, telemetry\nlog.configure('tiny', 'INFO')\n"
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


class TestLines:
    def test_of_ours_and_of_libraries_look_alike(self) -> None:
        ours, library = logged("structlog.get_logger().info('a', n=1)\nlogging.getLogger('x').info('b %s', 1)\n")
        assert set(library) == (set(ours) - {"n"}) | {"logger"}
        assert (ours["service"], ours["level"], ours["event"], library["event"]) == ("tiny", "info", "a", "b 1")

    def test_carry_correlation_and_trace(self) -> None:
        inside, outside = logged(
            f"with telemetry.under({TRACE!r}, 'order-66'):\n"
            "    structlog.get_logger().info('inside')\n"
            "structlog.get_logger().info('outside')\n"
        )
        assert (inside["correlation_id"], inside["trace_id"]) == ("order-66", TRACE.split("-")[1])
        assert not {"correlation_id", "trace_id"} & set(outside)

    def test_below_the_level_are_not_written(self) -> None:
        assert logged("structlog.get_logger().debug('a')\nlogging.getLogger('aio_pika').info('b')\n") == []

    @pytest.mark.parametrize(
        "text",
        [
            "connect postgresql://pledge:zq@host/db",
            "Authorization: Bearer zq.zq.zq",
            "token eyJhbGciOiJub25lIn0.eyJzdWIiOiJ6cSJ9.zq",
            "key sk_test_zq and whsec_zq",
        ],
    )
    def test_mask_secrets(self, text: str) -> None:
        (line,) = logged(f"structlog.get_logger().info({text!r})\n")
        assert "zq" not in line["event"]
        assert "***" in line["event"]

    def test_do_not_quote_what_libraries_quote_in_their_errors(self) -> None:
        (line,) = logged(
            "import asyncpg, pydantic\n"
            "class Contact(pydantic.BaseModel):\n    age: int\n"
            "try:\n    Contact(age='zq-input')\n"
            "except ValueError as error:\n"
            "    row = asyncpg.PostgresError('duplicate')\n"
            "    row.detail = 'Key (mail)=(zq-row) already exists.'\n"
            "    row.__cause__ = error\n"
            "    structlog.get_logger().error('failed', exc_info=row)\n"
        )
        assert "valid integer" in line["exception"]
        assert "duplicate" in line["exception"]
        assert "zq" not in line["exception"]


class TestLevel:
    def test_noise_of_libraries_is_kept_down_but_not_their_warnings(self) -> None:
        (line,) = logged("logging.getLogger('aio_pika.connection').warning('lost')\n")
        assert line["level"] == logging.getLevelName(logging.WARNING).lower()
