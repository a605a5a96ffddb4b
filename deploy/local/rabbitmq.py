"""A private RabbitMQ: a node of its own with its own name daemon, cookie and ports, on 127.0.0.1 only."""

from __future__ import annotations

from pathlib import Path

from deploy.local.private import Command, Recipe, Site, find_program
from deploy.local.probes import rabbitmq_answers

ADMIN = "groundswell"

# Debian's program on the PATH insists on its own account and directories; the one in its lib folder does not.
PROGRAM_FOLDERS = ("/usr/lib/rabbitmq/bin",)

# Arguments of the Erlang machine.
RUNTIME = (
    "-kernel inet_dist_use_interface {127,0,0,1}",
    "-shutdown_time 2000",  # The management plugin waits out 5 s; what must be on disk is there long before.
    "+sbwt none +sbwtdcpu none +sbwtdio none",  # Idle schedulers would spin on cores that our services share.
)


def find_rabbitmq() -> Recipe | None:
    """A recipe for the RabbitMQ that is installed here."""
    server = find_program("rabbitmq-server", folders=PROGRAM_FOLDERS)
    epmd = find_program("epmd")
    if server is None or epmd is None:
        return None
    return Recipe("rabbitmq", 4, lambda site: _prepare(server, epmd, site), urls, rabbitmq_answers)


def urls(site: Site) -> tuple[str, str]:
    """The administrator's addresses: AMQP, management API."""
    credentials = f"{ADMIN}:{site.password}@127.0.0.1"
    return f"amqp://{credentials}:{site.ports[0]}/", f"http://{credentials}:{site.ports[1]}"


def settings(site: Site) -> dict[str, str]:
    """rabbitmq.conf. The default user is made on the first start only, with the password of these data."""
    return {
        "listeners.tcp.1": f"127.0.0.1:{site.ports[0]}",
        "management.tcp.ip": "127.0.0.1",
        "management.tcp.port": str(site.ports[1]),
        "default_user": ADMIN,
        "default_pass": site.password,
        "loopback_users": "none",
        "vm_memory_high_watermark.absolute": "1GiB",  # Far above what a bench holds; publishers wait past it.
        "disk_free_limit.absolute": "50MB",
        "collect_statistics_interval": "30000",  # ms; the default of 5 s costs a small machine for no reader.
        "log.console": "true",
        "log.console.level": "info",
        "log.file": "false",
    }


def _prepare(server: Path, epmd: Path, site: Site) -> Command:
    _, _, distribution_port, epmd_port = site.ports
    lines = "".join(f"{name} = {value}\n" for name, value in settings(site).items())
    node = site.data
    env = {
        "RABBITMQ_NODENAME": "groundswell@localhost",
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(RUNTIME),
        "RABBITMQ_CONFIG_FILE": str(site.write("rabbitmq.conf", lines)),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(site.write("enabled_plugins", "[rabbitmq_management].\n")),
        # The machine's own settings in /etc/rabbitmq are not for us.
        "RABBITMQ_CONF_ENV_FILE": str(site.write("rabbitmq-env.conf", "")),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(site.write("advanced.config", "[].\n")),
        "RABBITMQ_CONFIG_FILES": str(node / "conf.d"),
        "RABBITMQ_MNESIA_BASE": str(node / "data"),
        "RABBITMQ_LOG_BASE": str(node / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(node / "config"),
        "RABBITMQ_LOG": "-color",
        "RABBITMQ_PID_FILE": str(node / "pid"),
        # Without this the node is a child of a shell that takes signals its own way.
        "RUNNING_UNDER_SYSTEMD": "true",
        # A shared name daemon would outlive us, and its other nodes would see ours.
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    return Command([str(server)], env, helper=[str(epmd), "-port", str(epmd_port), "-address", "127.0.0.1"])
