"""For httpx where everybody speaks plain HTTP, as on this machine.

A client reads the certificates of all authorities when it is made, which takes 20 to 40 ms of processor time: too much
for what asks twenty times a second, or makes a client for each of a thousand tests. With `verify=NO_TLS` it reads none
and would trust nobody.
"""

import ssl
from typing import Final

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
