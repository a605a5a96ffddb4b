"""`python -m bench [ROW]`: measure, print a table, write bench/results.json."""

import json
import sys
import time
import uuid
from pathlib import Path

import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench import (
    authorize,
    capture,
    consume,
    intake,
    neighbours,
    operations,
    page,
    pipeline,
    placements,
    rebuild,
    relay,
    rush,
    sandbox,
    size,
    storm,
    visible,
)
from bench.row import Figure, Ground, Result, Row, median
from deploy.local.provision import drop, provision
from deploy.local.servers import Servers, backing_servers
from eventing.service import collect_less

ROWS = (
    intake.ROW,
    neighbours.ROW,
    rush.ROW,
    size.ROW,
    consume.ROW,
    relay.ROW,
    rebuild.ROW,
    page.ROW,
    pipeline.PIPELINE,
    pipeline.MEMORY,
    visible.ROW,
    sandbox.ROW,
    placements.ROW,
    authorize.ROW,
    capture.ROW,
)
ON_REQUEST = (operations.ROW, storm.ROW)  # long ones, run by name alone
RESULTS = Path(__file__).parent / "results.json"

console = Console()


async def measure(servers: Servers, row: Row) -> Result:
    figures: list[Figure] = []
    for number in range(1, row.runs + 1):
        started = time.monotonic()
        collect_less()  # as every service does; the baselines get it as well
        provisioned = await provision(servers.backing, f"bench_{uuid.uuid4().hex[:8]}")
        try:
            figures.append(await row.measure(Ground(servers, provisioned)))
        finally:
            await drop(servers.backing, provisioned.namespace)
        last = figures[-1]
        beside = f" beside {last.baseline:,.0f}" if last.baseline else ""
        took = time.monotonic() - started
        console.print(f"{row.name} {number}/{row.runs}: {last.value:,.0f} {row.unit}{beside} ({took:.0f} s)")
    return median(row, figures)


def table(results: list[Result]) -> Table:
    shown = Table("row", "value", "unit", "baseline", "ratio", "reach", "load's cores", "runs", "note")
    for r in results:
        shown.add_row(
            r.row,
            f"{r.value:,.0f}",
            r.unit,
            f"{r.baseline:,.0f}" if r.baseline else "",
            f"{r.ratio:.2f} ×" if r.ratio else "",
            r.reach,
            f"{r.load_cpu:.2f}" if r.load_cpu is not None else "",
            r.spread,
            r.note,
        )
    return shown


def main(names: list[str]) -> int:
    known = {row.name: row for row in (*ROWS, *ON_REQUEST)}
    unknown = [name for name in names if name not in known]
    if unknown:
        console.print(f"There is no row {', '.join(unknown)}. Rows: {', '.join(known)}.")
        return 2
    chosen = [known[name] for name in names] or [row for row in ROWS if not row.by_name_only]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))  # rows make faults on purpose
    with backing_servers("bench") as servers:
        results = [uvloop.run(measure(servers, row)) for row in chosen]
    Console(width=160).print(table(results))  # wide: a row is one line also where the output goes to a file
    RESULTS.write_text(json.dumps([r.as_json() for r in results], indent=2) + "\n")
    console.print(f"written to {RESULTS.relative_to(Path.cwd())}" if RESULTS.is_relative_to(Path.cwd()) else RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
