from typing import Final

from typing_extensions import Buffer

PLACE_NONE: Final[int]
PLACE_PYTHON: Final[int]

class Rows:
    def __new__(cls, kind_d: int, kind_c: int, experiment_kinds: bytes, prefixes: bytes, /) -> Rows: ...
    def text(
        self, data: Buffer, records: Buffer, index: int, count: int, csv: bool, every: bool, start: bytes, /
    ) -> tuple[str, int, bool]: ...
    def places(self, data: Buffer, records: Buffer, count: int, /) -> bytes: ...

def addresses(addresses: Buffer, sizes: Buffer, /) -> tuple[bytes, bytes]: ...
