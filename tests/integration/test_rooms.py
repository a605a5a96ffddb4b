"""The corners that tests get: what a killed run leaves of them is in nobody's way."""

from deploy.local.provision import namespaces, provision
from deploy.local.servers import Servers
from tests.rooms import Rooms, drop_leftovers

PREFIX = "left_over_"


async def test_leftovers_go_though_copies_depend_on_the_roles_of_their_model(servers: Servers) -> None:
    backing = servers.backing
    left = Rooms(backing, await provision(backing, f"{PREFIX}model"), f"{PREFIX}the_empty_one")
    await left.copy(left.model.namespace, left.empty)
    assert await namespaces(backing, PREFIX) == [left.model.namespace, left.empty]
    await drop_leftovers(backing, PREFIX)
    assert await namespaces(backing, PREFIX) == []
