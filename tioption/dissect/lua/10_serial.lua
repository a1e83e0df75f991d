-- Numbers of 24, 32 and 48 bits. Lua 5.2 has only doubles and 5.4 integers, so nothing here uses a bit operator,
-- integer division or a float literal: every value stays exact, and an integer where there are integers.

local floor, byte, format = math.floor, string.byte, string.format

local POW24, POW31, POW32 = 16777216, 2147483648, 4294967296
local POW47, POW48 = 140737488355328, 281474976710656

function ti.u16(octets, at)
  local a, b = byte(octets, at, at + 1)
  return a * 256 + b
end

function ti.u24(octets, at)
  local a, b, c = byte(octets, at, at + 2)
  return (a * 256 + b) * 256 + c
end

-- How far `value` lies after `other`, negative where it lies before (RFC 1982).
function ti.difference32(value, other)
  return (value - other + POW31) % POW32 - POW31
end

function ti.difference48(value, other)
  return (value - other + POW47) % POW48 - POW47
end

function ti.add48(value, count)
  return (value + count) % POW48
end

function ti.hex24(value)
  return format("%06x", value)
end

function ti.hex48(value)
  return format("%06x%06x", floor(value / POW24), value % POW24)
end

-- What ProtoField.uint64 and int64 take.
local new_uint64, new_int64 = UInt64.new, Int64.new
function ti.uint64(value)
  return new_uint64(value % POW32, floor(value / POW32))
end

function ti.int64(value)
  if value < 0 then
    return -new_int64(-value % POW32, floor(-value / POW32))
  end
  return new_int64(value % POW32, floor(value / POW32))
end

-- Whole nanoseconds from the seconds that Wireshark gives.
function ti.nanoseconds(seconds)
  return floor(seconds * 1000000000 + 0.5)
end

-- What ProtoField.relative_time takes, from nanoseconds.
function ti.nstime(nanoseconds)
  local whole = nanoseconds >= 0 and floor(nanoseconds / 1000000000) or -floor(-nanoseconds / 1000000000)
  return NSTime.new(whole, nanoseconds - whole * 1000000000)
end

-- Whether the flag of value `bit` (a power of two) is set.
function ti.flag(flags, bit)
  return flags % (bit * 2) >= bit
end
