"""The few options of curl that README uses, for machines that have none: `python -m tests.acceptance.curl`."""

from __future__ import annotations

import argparse
import sys

import httpx


def main() -> None:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    given = parser.parse_args()
    method = given.method or ("GET" if given.body is None else "POST")
    headers = [tuple(header.split(": ", 1)) for header in given.headers]
    sys.stdout.write(httpx.request(method, given.url, headers=headers, content=given.body, timeout=30).text)


if __name__ == "__main__":
    main()
