"""What people write with other libraries to find the option: `python -m bench.peers NAME FILE`, NAME as in PEERS."""

from __future__ import annotations

import sys
from collections.abc import Callable


def with_dpkt(path: str) -> int:
    """dpkt, every packet parsed."""
    import dpkt

    found = 0
    with open(path, "rb") as file:  # noqa: PTH123
        for _, octets in dpkt.pcap.Reader(file):
            network = dpkt.ethernet.Ethernet(octets).data
            segment = getattr(network, "data", None)
            if isinstance(segment, dpkt.tcp.TCP):
                try:
                    options = dpkt.tcp.parse_opts(segment.opts)
                except dpkt.Error:
                    continue
                found += any(kind in (253, 254) for kind, _ in options)
    return found


def with_pyshark(path: str) -> int:
    """With a display filter, as it is meant to be used."""
    import pyshark

    capture = pyshark.FileCapture(path, display_filter="tcp.option_kind == 253 || tcp.option_kind == 254")
    found = sum(1 for _ in capture)
    capture.close()
    return found


def with_scapy(path: str) -> int:
    """Scapy, every packet dissected."""
    from scapy.layers.inet import TCP
    from scapy.utils import PcapReader

    found = 0
    with PcapReader(path) as packets:
        for packet in packets:
            if TCP in packet:
                found += any(kind in (253, 254) for kind, _ in packet[TCP].options)
    return found


def with_scapy_raw(path: str) -> int:
    """Scapy's reader and a loop of one's own over the octets, for Ethernet with IPv4, IPv6 or one VLAN tag."""
    from scapy.utils import RawPcapReader

    found = 0
    for octets, _ in RawPcapReader(path):
        at = 14
        ethertype = octets[12:14]
        if ethertype == b"\x81\x00":
            ethertype, at = octets[16:18], 18
        if ethertype == b"\x08\x00":
            if octets[at + 9] != 6:
                continue
            at += (octets[at] & 15) << 2
        elif ethertype == b"\x86\xdd":
            if octets[at + 6] != 6:
                continue
            at += 40
        else:
            continue
        header = octets[at + 12] >> 4 << 2
        if header >= 40:
            options = octets[at + 20 : at + header]
            found += b"\xfd\x14" in options or b"\xfe\x14" in options
    return found


PEERS: dict[str, Callable[[str], int]] = {
    "dpkt": with_dpkt,
    "pyshark": with_pyshark,
    "scapy": with_scapy,
    "scapy-raw": with_scapy_raw,
}

if __name__ == "__main__":
    print(PEERS[sys.argv[1]](sys.argv[2]))
