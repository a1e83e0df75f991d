from typing import Final

_Octets = bytes | bytearray | memoryview

RECORD_OCTETS: Final[int]
FIELDS: Final[tuple[tuple[str, int, str], ...]]

def walk(
    data: _Octets,
    at: int,
    end: int,
    frame: int,
    big: bool,
    header: int,
    unit: int,
    interfaces: _Octets,
    wanted: int,
    kind_d: int,
    kind_c: int,
    acks: bytearray,
    records: bytearray,
    count: int,
    /,
) -> tuple[int, int, int]: ...
def ack_bit(client: int, server: int, ack: int, /) -> int: ...
def near(records: _Octets, count: int, bits: _Octets, /) -> bytes: ...
