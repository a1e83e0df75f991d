"""Network address and port translation with a memory that ends: the reason why the option exists (§I, §II.A).

Home gateways and carrier-grade NATs keep a binding per connection, lose them on reboot, failover and overflow, and time
them out, many of them long before the 2 h 4 min of RFC 5382 REQ-5 (Hätönen et al., IMC 2010). A host behind one resumes
from whatever address and port it then has (RES-03, RES-12); TISeq and TIAck say nothing of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, RST, SYN
from tioption.errors import ParseError
from tioption.middlebox.box import Emitted, Memory, SegmentBox, Way, passed
from tioption.middlebox.forgetting import AFTER, FORGET, HOW, TIMEOUT, Trigger, refused
from tioption.middlebox.packet import Ends, Packet
from tioption.middlebox.parameters import ADDRESS, YES, Parameter, choice, whole
from tioption.middlebox.registry import box

_LOWEST: Final = 1024


class _Remote(NamedTuple):
    """The host outside, as one side of a binding."""

    address: bytes
    port: int


class _Binding:
    """One translated connection: what its host inside is, what is seen of it outside, when it was last used."""

    __slots__ = ("address", "outside", "port", "used")

    def __init__(self, address: bytes, port: int, outside: int, used: int) -> None:
        self.address = address
        self.port = port
        self.outside = outside
        self.used = used


@box(
    "nat",
    "Translates A's addresses and ports, and may forget that it did.",
    FORGET,
    AFTER,
    HOW,
    TIMEOUT,
    Parameter("ports", choice("preserve", "random"), "preserve", "Which port a host gets.", ("preserve", "random")),
    Parameter("loose", YES, "no", "Whether a segment from inside makes a binding without a SYN.", ("yes", "no")),
    Parameter("size", whole(1, 1 << 20), "65536", "How many bindings there may be; the oldest goes."),
    Parameter("address", ADDRESS, "203.0.113.1", "Its IPv4 address outside."),
    Parameter("address6", ADDRESS, "2001:db8:cb00::1", "Its IPv6 address outside."),
    rules=("RES-03", "RES-12", "RES-19", "RES-20", "MAP-06"),
    needs=("random",),
)
class Nat(SegmentBox):
    """Stands before A: what A's side sends comes from the NAT's address, and what is sent there goes to A's side.

    A binding is for one host outside (address- and port-dependent, RFC 4787). A port that is taken is replaced by a
    random free one. What comes from outside to no binding, and what comes from inside without a SYN unless it is
    `loose` (Linux's nf_conntrack_tcp_loose), gets what `how` says. Packets that are not TCP are not translated.
    """

    def __init__(  # noqa: PLR0913  as many as such devices have settings
        self,
        *,
        forget: int | None,
        after: int | None,
        how: str,
        timeout: int,
        ports: str,
        loose: bool,
        size: int,
        address: IPv4Address | IPv6Address,
        address6: IPv4Address | IPv6Address,
        random: Random,
    ) -> None:
        """Make a NAT without bindings; raises ParseError where an address is of the other family."""
        for name, one, version in (("address", address, 4), ("address6", address6, 6)):
            if one.version != version:
                raise ParseError(f"an IPv{version} address as {name}", str(one))
        self._outside = {4: address.packed, 16: address6.packed}
        self._trigger = Trigger(forget, after)
        self._how = how
        self._timeout = timeout
        self._preserve = ports == "preserve"
        self._loose = loose
        self._size = size
        self._random = random
        self._inside: Memory[Ends, _Binding] = Memory(size + 1)
        """By what A's side sends."""
        self._taken: dict[tuple[_Remote, int], Ends] = {}
        """By the host outside and the port it knows."""
        self._seen: Memory[Ends, int] = Memory()
        """The last port outside of every connection, also of those forgotten: what hosts outside go on using."""

    def forget(self) -> None:
        """Lose all bindings now."""
        self._inside.clear()
        self._taken.clear()

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Translate, or refuse what no binding is for."""
        if self._trigger.fires(now_ns):
            self.forget()
        binding = self._from_inside(segment, now_ns) if way == "ab" else self._from_outside(segment, now_ns)
        if binding is None:
            yield from refused(segment, way, self._how)
            return
        binding.used = now_ns
        if way == "ab":
            segment.source, segment.sport = self._outside[len(segment.source)], binding.outside
        else:
            segment.destination, segment.dport = binding.address, binding.port
        yield passed(segment, way, changed=True)

    def _from_inside(self, segment: Packet, now_ns: int) -> _Binding | None:
        ends = segment.ends
        binding = self._alive(ends, now_ns)
        if binding is None and (self._loose or segment.flags & (SYN | ACK | RST) == SYN):
            binding = self._bind(ends, now_ns)
        return binding

    def _from_outside(self, segment: Packet, now_ns: int) -> _Binding | None:
        if segment.destination != self._outside[len(segment.destination)]:
            return None
        ends = self._taken.get((_Remote(segment.source, segment.sport), segment.dport))
        return None if ends is None else self._alive(ends, now_ns)

    def _alive(self, ends: Ends, now_ns: int) -> _Binding | None:
        """The binding of a connection, unless it was idle for too long."""
        binding = self._inside.get(ends)
        if binding is not None and now_ns - binding.used > self._timeout:
            self._release(ends)
            return None
        return binding

    def _release(self, ends: Ends) -> None:
        binding = self._inside.pop(ends)
        if binding is not None:
            del self._taken[_Remote(ends.destination, ends.dport), binding.outside]

    def _bind(self, ends: Ends, now_ns: int) -> _Binding | None:
        """A new binding; None where no port is free for this host outside."""
        if len(self._inside) >= self._size:
            self._release(next(iter(self._inside)))
        remote = _Remote(ends.destination, ends.dport)
        port = ends.sport
        if not self._preserve or (remote, port) in self._taken:
            found = self._free_port(remote)
            if found is None:
                return None
            port = found
        self._taken[remote, port] = ends
        self._seen[ends] = port
        binding = self._inside[ends] = _Binding(ends.source, ends.sport, port, now_ns)
        return binding

    def _free_port(self, remote: _Remote) -> int | None:
        """A free port, looked for from a random one on; None where there is none."""
        count = (1 << 16) - _LOWEST
        begin = self._random.randrange(count)
        candidates = (_LOWEST + (begin + step) % count for step in range(count))
        return next((port for port in candidates if (remote, port) not in self._taken), None)

    def renamed(self, ends: Ends, way: Way) -> Ends:
        """The address and port that the host outside has seen, also where the binding is forgotten by now."""
        inside = ends if way == "ab" else ends.reverse
        port = self._seen.get(inside)
        if port is None:
            return ends
        outside = inside._replace(source=self._outside[len(inside.source)], sport=port)
        return outside if way == "ab" else outside.reverse
