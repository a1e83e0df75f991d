from typing import Final

_Octets = bytes | bytearray | memoryview

PLACE_NONE: Final[int]
PLACE_PYTHON: Final[int]

class Rows:
    def __new__(cls, kind_d: int, kind_c: int, experiment_kinds: bytes, prefixes: bytes, /) -> Rows: ...
    def text(
        self, data: _Octets, records: _Octets, index: int, count: int, csv: bool, every: bool, start: bytes, /
    ) -> tuple[str, int, bool]: ...
    def places(self, data: _Octets, records: _Octets, count: int, /) -> bytes: ...

def addresses(addresses: _Octets, sizes: _Octets, /) -> tuple[bytes, bytes]: ...
