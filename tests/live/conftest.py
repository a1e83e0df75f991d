"""What every live test needs: root, and two hosts with a cable between them where it asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import needs_root
from tests.live.namespaces import Link, link


@pytest.fixture(autouse=True)
def root() -> None:
    """Skips where no network namespaces can be made and entered."""
    needs_root()


@pytest.fixture
def hosts() -> Iterator[Link]:
    """Two hosts and the cable between them, gone afterwards."""
    with link() as made:
        yield made
