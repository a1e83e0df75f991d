-- Where in a frame the TCP header lies. A post-dissector sees the whole frame and no offsets; asking Wireshark for the
-- fields of TCP would make it build a tree for every frame, so the header is read from the octets themselves.

local byte, sub, find, char, floor = string.byte, string.sub, string.find, string.char, math.floor
local TCP, ICMP, ICMP6, PT_TCP = 6, 1, 58, 2

-- Octets of a frame that are looked at; deep encapsulations raise it.
local reach, MOST_REACH = 128, 512

-- Where the last TCP headers over IPv4 and IPv6 were, they will be there again; and the octets as far as their window.
local hint4, hint6, enough = 34, 54, 70

-- IPv6 extension headers that only say what follows them.
local EXTENSIONS = { [0] = true, [43] = true, [44] = true, [51] = true, [60] = true, [135] = true, [139] = true,
  [140] = true }

-- Whether the IP header at `at` is quoted by an ICMP error: then the segment was not sent here.
local function quoted(raw, at)
  local before = at - 8
  local four, six = byte(raw, before - 19), byte(raw, before - 39)
  return (four and before >= 20 and four == 69 and byte(raw, before - 10) == ICMP)
    or (six and before >= 40 and six >= 96 and six < 112 and byte(raw, before - 33) == ICMP6)
end

-- The IPv4 header of any length that ends at `at`, nil where there is none.
local function ipv4_before(raw, at)
  for size = 20, 60, 4 do
    local start = at - size
    if start < 0 then
      return nil
    end
    if byte(raw, start + 1) == 64 + size / 4 and byte(raw, start + 10) == TCP
      and (byte(raw, start + 7) % 32) * 256 + byte(raw, start + 8) == 0 then
      return start
    end
  end
  return nil
end

-- The IPv6 header whose extension headers lead to `at`, nil where there is none.
local function ipv6_before(raw, at)
  for start = at - 40, 0, -4 do
    local first = byte(raw, start + 1)
    if first >= 96 and first < 112 then
      local next_header, here = byte(raw, start + 7), start + 40
      while here < at and EXTENSIONS[next_header] do
        local size = (next_header == 51 and (byte(raw, here + 2) + 2) * 4) or (next_header == 44 and 8)
          or (byte(raw, here + 2) + 1) * 8
        next_header, here = byte(raw, here + 1), here + size
      end
      if here == at and next_header == TCP then
        return start
      end
    end
  end
  return nil
end

-- The innermost TCP header with these ports: its offset, that of its IP header, and whether that is IPv6.
local function search(raw, ports)
  local found, ip, six
  local at = find(raw, ports, 1, true)
  while at do
    local start = at - 1
    local four = ipv4_before(raw, start)
    local other = not four and ipv6_before(raw, start) or nil
    if (four or other) and not quoted(raw, four or other) then
      found, ip, six = start, four or other, other ~= nil
    end
    at = find(raw, ports, at + 1, true)
  end
  return found, ip, six
end

-- Both ways between two ends, each by the key of who sends: { source, destination: the ends' addresses and ports as
-- octets; other: the way back; sender: who sends now, of what connection }.
local ways = {}

-- Those whose headers were where headers usually are, by addresses and ports in the order of the header.
local usual = {}

-- The way of a header from its sender to its receiver.
local function way_of(raw, at, ip, six)
  local size, start = six and 16 or 4, six and ip + 8 or ip + 12
  local source = sub(raw, start + 1, start + size) .. sub(raw, at + 1, at + 2)
  local destination = sub(raw, start + size + 1, start + 2 * size) .. sub(raw, at + 3, at + 4)
  local way = ways[source .. destination]
  if not way then
    way = { source = source, destination = destination }
    way.other = source == destination and way or { source = destination, destination = source, other = way }
    ways[source .. destination], ways[destination .. source] = way, way.other
  end
  return way
end

-- Methods of a Tvb; looking them up costs more than calling them.
local len, raw_of

-- Forget what was learned of the last capture.
function ti.forget_headers()
  hint4, hint6, enough, reach, ways, usual = 34, 54, 70, 128, {}, {}
end

local function port_octets(port)
  return char(floor(port / 256), port % 256)
end

-- The octets of a frame as far as TCP's window, the offset of its TCP header, its way, the offset of the IP header and the
-- octets of the IP packet (0: not known), where the ends are known and the headers where they usually are; else nil, and
-- `ti.locate` must look.
local function recognize(tvb)
  len, raw_of = len or tvb.len, raw_of or tvb.raw
  local captured = len(tvb)
  local raw = raw_of(tvb, 0, captured < enough and captured or enough)
  local at = hint4
  local way = usual[sub(raw, at - 7, at + 4)]
  if way then
    -- Length, fragmentation and protocol: IPv4 without options, not a later fragment, TCP.
    local version, _, t1, t2, _, _, f1, f2, _, protocol = byte(raw, at - 19, at - 10)
    if version == 69 and protocol == TCP and f2 == 0 and (f1 == 64 or f1 % 32 == 0) then
      return raw, at, way, at - 20, t1 * 256 + t2
    end
  else
    at = hint6
    way = usual[sub(raw, at - 31, at + 4)]
    if way then
      local version, _, _, _, l1, l2, protocol = byte(raw, at - 39, at - 33)
      if protocol == TCP and version >= 96 and version < 112 then
        return raw, at, way, at - 40, l1 * 256 + l2 + 40
      end
    end
  end
  return nil
end
ti.recognize = recognize

-- The octets of a frame, the offset of its TCP header, its way, and the offset of the IP header; nil where Wireshark saw
-- no TCP. What it saw says which ports to look for.
function ti.locate(tvb, pinfo)
  local captured = tvb:len()
  local raw = tvb:raw(0, captured < reach and captured or reach)
  local known, at, way, ip = recognize(tvb)
  if known then
    return raw, at, way, ip
  end
  if captured < 40 or pinfo.port_type ~= PT_TCP then
    return nil
  end
  local ports = port_octets(pinfo.src_port) .. port_octets(pinfo.dst_port)
  local six
  at, ip, six = search(raw, ports)
  if not at and captured > reach and reach < MOST_REACH then
    reach = MOST_REACH
    raw = tvb:raw(0, captured < reach and captured or reach)
    at, ip, six = search(raw, ports)
  end
  if not at then
    return nil
  end
  way = way_of(raw, at, ip, six)
  if not six and ip == at - 20 then
    hint4 = at
    usual[sub(raw, at - 7, at + 4)] = way
  elseif six and ip == at - 40 then
    hint6 = at
    usual[sub(raw, at - 31, at + 4)] = way
  end
  enough = (hint4 > hint6 and hint4 or hint6) + 16
  return raw, at, way, ip
end

-- The segment whose header is at `at`, without its options; nil where the header was cut, or IP's length cuts it.
function ti.read_segment(tvb, pinfo, raw, at, ip)
  if #raw < at + 20 then
    return nil
  end
  local s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, w1, w2 = byte(raw, at + 5, at + 16)
  local frame_end, stop = tvb:reported_len(), nil
  if byte(raw, ip + 1) < 96 then
    local total = byte(raw, ip + 3) * 256 + byte(raw, ip + 4)
    stop = total > 0 and ip + total or frame_end
  else
    local length = byte(raw, ip + 5) * 256 + byte(raw, ip + 6)
    stop = length > 0 and ip + 40 + length or frame_end
  end
  if stop - at < 20 then
    return nil
  end
  local seconds = pinfo.rel_ts
  local header = (offset - offset % 16) / 4
  local payload = stop - at - (header > 20 and header or 20)
  return {
    number = pinfo.number,
    seconds = seconds,
    time = ti.nanoseconds(seconds),
    at = at,
    header = header,
    length = stop - at,
    seq = ((s1 * 256 + s2) * 256 + s3) * 256 + s4,
    ack = ((a1 * 256 + a2) * 256 + a3) * 256 + a4,
    flags = flags,
    window = w1 * 256 + w2,
    payload = payload > 0 and payload or 0,
    options = {},
  }
end

-- The options of a segment.
function ti.read_options(tvb, segment)
  local length = math.min(segment.header, segment.length) - 20
  local here = math.min(tvb:len(), segment.at + segment.header, segment.at + segment.length) - segment.at - 20
  if segment.header <= 20 or length <= 0 or here <= 0 then
    return {}
  end
  return ti.walk(tvb:raw(segment.at + 20, here), length)
end
