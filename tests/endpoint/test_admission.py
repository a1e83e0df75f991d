"""So much a second and no more."""

from __future__ import annotations

from tioption.endpoint.admission import Bucket, SourceBuckets
from tioption.endpoint.rtt import MS, SECOND


def test_a_bucket_lets_through_its_rate() -> None:
    bucket = Bucket(10)
    assert [bucket.take(SECOND) for _ in range(12)] == [True] * 10 + [False] * 2
    assert bucket.take(SECOND + 100 * MS)
    assert not bucket.take(SECOND + 100 * MS)
    assert sum(bucket.take(3 * SECOND + at * MS) for at in range(1000)) <= 20


def test_sources_do_not_disturb_each_other_and_are_bounded() -> None:
    buckets = SourceBuckets(1, limit=3)
    assert [buckets.take(source, 0) for source in (b"a", b"a", b"b", b"c")] == [True, False, True, True]
    for number in range(100):
        buckets.take(bytes((number,)), 0)
    assert len(buckets) == 3
