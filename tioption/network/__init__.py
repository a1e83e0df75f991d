"""What carries packets for a host in user space: TUN devices, and ports of the machine's own addresses.

Linux. Everything here is a shell around a descriptor; what is sent and what becomes of what arrives is decided by hosts
that know neither sockets nor clocks (`Host`), and `drive` brings the two together.
"""

from tioption.network.addresses import Addresses, Change, least_mtu, routed_source, source_address
from tioption.network.device import Device, Host, Tap, drive
from tioption.network.raw import RawPorts
from tioption.network.tun import Tun, forwards

__all__ = [
    "Addresses",
    "Change",
    "Device",
    "Host",
    "RawPorts",
    "Tap",
    "Tun",
    "drive",
    "forwards",
    "least_mtu",
    "routed_source",
    "source_address",
]
