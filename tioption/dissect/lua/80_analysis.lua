-- The analysis of every segment of a flow. Each frame is judged when it is first visited, in order; what was found is
-- remembered by frame number and only drawn when Wireshark visits the frame again.

local byte, flag = string.byte, ti.flag
local locate, recognize = ti.locate, ti.recognize
local SYN, ACK, PSH = 2, 16, 8
local POW30, POW31, POW32 = 1073741824, 2147483648, 4294967296
local POW47, POW48 = 140737488355328, 281474976710656
local fields, experts, protocol = ti.fields, ti.experts, ti.protocol

-- By frame number: who sent it, the places of its first octet and of what it acknowledges, and for the few frames that
-- are more than data what the judgement was.
local who, places, acked_places, records

-- The highest number of a frame that was judged.
local latest

-- States in which only an option, or a SYN, still means something where none of its connection had one.
local OVER = { idle = true, legacy = true, failed = true, closed = true }
local DECIDED = { confirmed = true, settled = true, legacy = true, failed = true, closed = true }

-- By the octet of flags, whether they are those of data or of a pure ACK, and whether there is no SYN; by the octet of
-- the data offset, the octets of the header. A look into a table costs less than a division.
local CARRIES, NO_SYN, HEADER = {}, {}, {}
for octet = 0, 255 do
  local flags = octet % 32
  CARRIES[octet] = flags == ACK or flags == ACK + PSH
  NO_SYN[octet] = not flag(octet, SYN)
  HEADER[octet] = (octet - octet % 16) / 4
end

function ti.reset()
  who, places, acked_places, records = {}, {}, {}, {}
  latest = 0
  ti.connections = 0
  ti.flows, ti.named, ti.strangers, ti.halves = {}, {}, 0, {}
  carrier = false
  ti.forget_headers()
end
ti.reset()

-- What reads an attribute of a Pinfo. Wireshark keeps such functions in its metatable, and looking one up for every
-- packet costs more than calling it.
local function reader(pinfo, name)
  local readers = (getmetatable(pinfo) or {}).__getters
  return readers and readers[name] or function(packet) return packet[name] end
end
local number_of, seconds_of

-- Whether nothing but how far it has come can change in a connection as long as it only carries data.
local function steady(connection)
  local resume = connection.resume
  return connection.handshake.state == "settled" and not connection.left_by
    and not (resume and (resume.bytes_gone or resume.own.fin or resume.other.fin)) and connection.transport
end

-- Tells both ways of a connection what to do with the next segment: one of a `steady` sender takes the short cut, one
-- that is `ignored` needs no look unless it has a SYN or an option.
function ti.sort(connection)
  local state = connection.handshake.state
  local ignored = (not connection.tracked and OVER[state]) or (not ti.preferences.every_segment and DECIDED[state])
  local quick = not ignored and steady(connection)
  for _, sender in ipairs(connection.sides) do
    local way = sender.way
    if way.sender == sender then
      way.ignored, way.steady = ignored, quick and sender or nil
    end
  end
end

-- Takes in a segment of data or a pure ACK on a steady connection: the same as `observe` would do, without its tables, and
-- with numbers in place of names, which are quicker.
-- The places of its first octet and of what it acknowledges; nil where it is something else.
local function carry_on(tvb, pinfo, raw, at, ip, size, number, sender)
  local s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, w1, w2 = byte(raw, at + 5, at + 16)
  if not (w2 and CARRIES[flags]) then
    return nil
  end
  local own, other = sender.own, sender.other
  local sent, acked = own.sent, own.acked
  local near = sent > acked and sent or acked
  local place = s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first
  local ahead = place - near
  if ahead >= 2147483648 or ahead < -2147483648 then
    place = near + (ahead + POW31) % POW32 - POW31
  end
  if size == 0 then -- before segmentation offload the frame's own length holds
    size = tvb:reported_len() - ip
  end
  local stop = place + ip + size - at - HEADER[offset]
  if stop > sent and stop > place then
    own.sent = stop
  end
  sent, acked = other.sent, other.acked
  near = sent > acked and sent or acked
  local reached = a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first
  ahead = reached - near
  if ahead >= 2147483648 or ahead < -2147483648 then
    reached = near + (ahead + POW31) % POW32 - POW31
  end
  if reached > acked then
    local fin = other.fin
    if fin and reached > fin then
      reached = fin
    end
    other.acked = reached
  end
  local window = (w1 * 256 + w2) * own.factor
  if window > own.window then
    own.window = window
  end
  sender.connection.last_seen = seconds_of(pinfo)
  who[number] = sender
  if near >= 1073741824 or place >= 1073741824 then -- beyond, a number alone no longer tells the place
    places[number], acked_places[number] = place, reached
  end
  return place, reached
end

-- The places of a segment's first octet and of what it acknowledges; false or nil where it has none.
local function places_of(number, sender, tvb, pinfo)
  local place, reached = places[number], acked_places[number]
  if place or reached then
    return place, reached
  end
  local raw, at = recognize(tvb)
  if not raw then
    raw, at = locate(tvb, pinfo)
  end
  if not raw then
    return nil
  end
  local s1, s2, s3, s4, a1, a2, a3, a4, _, flags = byte(raw, at + 5, at + 14)
  local own, other = sender.own, sender.other
  place = not flag(flags, SYN) and own.first
    and (s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first + POW31) % POW32 - POW31
  reached = flag(flags, ACK) and other.first
    and (a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first + POW31) % POW32 - POW31
  if reached and other.fin and reached > other.fin then
    reached = other.fin
  end
  return place, reached
end

-- Who sent a frame of a flow, and the place of its first octet.
function ti.sender_in(number, tvb, pinfo)
  local sender = who[number]
  if not sender then
    return nil
  end
  return sender, (places_of(number, sender, tvb, pinfo))
end

-- Judges a frame that is seen for the first time, if Wireshark saw TCP in it.
local function observe(tvb, pinfo, number, carried)
  local raw, at, way, ip = locate(tvb, pinfo)
  local segment = raw and ti.read_segment(tvb, pinfo, raw, at, ip)
  if not segment then
    return
  end
  segment.way = way
  local sender = ti.sender_of(segment)
  local connection = sender.connection
  if carried or flag(segment.flags, SYN) then
    segment.options = ti.read_options(tvb, segment)
  end
  connection.tracked = connection.tracked or carried
  local place, acked = ti.observe_connection(sender, segment)
  who[number], places[number], acked_places[number] = sender, nil, nil
  if (place and place >= POW30) or (acked and acked >= POW30) then
    places[number], acked_places[number] = place or nil, acked
  end
  local record = ti.judge(segment, sender)
  local confirms = connection.transport and connection.transport.confirmed_frame == number
  records[number] = (record.phase or #record.findings > 0 or confirms) and record or nil
  ti.sort(connection)
end

-- Methods of a TreeItem; looking them up costs more than calling them.
local add, set_generated

local function put(tree, field, value)
  set_generated(add(tree, field, value))
end

local function add_time(tree, field, nanoseconds)
  if nanoseconds then
    put(tree, fields[field], ti.nstime(nanoseconds))
  end
end

local function add_frame(tree, field, transport)
  if transport then
    put(tree, field, transport.connection.first_frame)
  end
end

local add48, difference48, uint64, int64 = ti.add48, ti.difference48, UInt64.new, Int64.new

-- One of the two numbers that a host's segments carry, its own or the one it acknowledges: where its place 0 lies in the
-- stream, and the last position that was shown, as Wireshark takes it. The peer's gauge of the same stream often has it.
local function new_gauge(anchor, origin)
  return { anchor = anchor, origin = origin, before = difference48(anchor, origin) }
end

local function gauges(sender, transport)
  local anchors, origins = transport.anchors, transport.connection.flow.transports[1].anchors
  local forward, reverse = "forward", "reverse"
  if sender.forward == transport.turned then
    forward, reverse = reverse, forward
  end
  sender.sends = new_gauge(anchors[forward], origins[forward])
  sender.acknowledges = new_gauge(anchors[reverse], origins[reverse])
  local peer = sender.peer
  if peer.sends then
    sender.sends.twin, peer.acknowledges.twin = peer.acknowledges, sender.sends
    sender.acknowledges.twin, peer.sends.twin = peer.sends, sender.acknowledges
  end
end

local function add_position(tree, absolute, relative, gauge, place)
  local twin = gauge.twin
  if gauge.place == place then
    -- as before
  elseif twin and twin.place == place then
    gauge.place, gauge.position, gauge.distance = place, twin.position, twin.distance
  else
    local position, distance = gauge.anchor + place, gauge.before + place
    if position >= POW48 or position < 0 then
      position = add48(gauge.anchor, place)
    end
    if distance >= POW47 or distance < -POW47 then
      distance = difference48(position, gauge.origin)
    end
    gauge.place, gauge.position, gauge.distance = place, uint64(position), int64(distance)
  end
  set_generated(add(tree, absolute, gauge.position))
  set_generated(add(tree, relative, gauge.distance))
end

local function add_finding(tree, one)
  put(tree, fields.rule, one.rule)
  put(tree, fields.severity, one.severity)
  local text = one.rule .. ": " .. definition.rules[one.rule].text .. (one.text and " (" .. one.text .. ")" or "")
  tree:add_proto_expert_info(experts[one.rule .. one.severity] or experts[one.rule .. "note"], text)
end

local flow_field, number_field = fields.flow, fields.transport
local previous_field, next_field = fields["transport.previous"], fields["transport.next"]
local position, position_relative = fields.position, fields["position.relative"]
local acknowledged, acknowledged_relative = fields.ack_position, fields["ack_position.relative"]

local function draw_transport(tree, transport, sender, number, place, acked)
  set_generated(add(tree, number_field, transport.number))
  add_frame(tree, previous_field, transport.previous)
  add_frame(tree, next_field, transport.next)
  if not sender.sends then
    gauges(sender, transport)
  end
  if place then
    add_position(tree, position, position_relative, sender.sends, place)
  end
  if acked then
    add_position(tree, acknowledged, acknowledged_relative, sender.acknowledges, acked)
  end
  if transport.confirmed_frame == number and transport.number > 1 then
    add_time(tree, "reconnect_time", transport.reconnect_time)
    add_time(tree, "outage", transport.outage)
  end
end

-- The block on a frame: flow and transport, where it stands in both streams, what it breaks. The places are looked up
-- where they are not given.
local function draw(tvb, pinfo, tree, number, sender, record, place, acked)
  local connection = sender.connection
  local flow, transport = connection.flow, connection.transport
  local ended = not transport and OVER[connection.handshake.state]
  if not record and (not flow or ended) then
    return
  end
  add, set_generated = add or tree.add, set_generated or tree.set_generated
  local block = add(tree, protocol, "TI-flow analysis")
  set_generated(block)
  if flow then
    set_generated(add(block, flow_field, flow.index))
    if transport then
      if not place then
        place, acked = places_of(number, sender, tvb, pinfo)
      end
      draw_transport(block, transport, sender, number, place, acked)
    elseif not ended and connection.resume then
      put(block, number_field, #flow.transports + 1)
      add_frame(block, previous_field, connection.resume.from)
    end
  end
  if record then
    if record.phase then
      put(block, fields.phase, record.phase)
    end
    for _, one in ipairs(record.findings) do
      add_finding(block, one)
    end
  end
end

-- What the packet list says of a frame with an option.
local function summarize(pinfo, sender, record)
  local option = record.option
  if not record.phase or not option then
    return
  end
  local text = " TI-flow " .. record.phase .. " " .. ti.hex48(option.tifid)
  local transport = sender.connection.transport
  local origins = transport and ti.preferences.relative and transport.connection.flow.transports[1].anchors
  if origins and sender.forward ~= transport.turned then
    text = text .. string.format(" S=+%d K=+%d", ti.difference48(option.tiseq, origins.forward),
      ti.difference48(option.tiack, origins.reverse))
  elseif origins then
    text = text .. string.format(" S=+%d K=+%d", ti.difference48(option.tiseq, origins.reverse),
      ti.difference48(option.tiack, origins.forward))
  else
    text = text .. " S=" .. ti.hex48(option.tiseq) .. " K=" .. ti.hex48(option.tiack)
  end
  pinfo.cols.protocol:set("TI-flow")
  pinfo.cols.info:append(text)
end

local analysis = Proto.new("tiflow_analysis", "TI-flow analysis")

-- This plugin's protocol, and the method of a tree that tells whether anybody wants to see it.
local wanted, referenced

-- What that method said on a first visit: there tshark gives the same answer all along, which Wireshark, where filters
-- come and go, does not.
local asked, changing = nil, gui_enabled()

function analysis.dissector(tvb, pinfo, tree)
  local carried = carrier
  carrier = false
  if not number_of then
    number_of, seconds_of, referenced = reader(pinfo, "number"), reader(pinfo, "rel_ts"), tree.referenced
  end
  local number = number_of(pinfo)
  if number > latest or (number == latest and not pinfo.visited) then
    if number == latest then -- under a read filter several frames have one number, of which the last is kept
      who[number], places[number], acked_places[number], records[number] = nil, nil, nil, nil
    end
    latest = number
    local raw, at, way, ip, size = recognize(tvb)
    if raw and not carried then
      local sender = way.steady
      if sender then
        local place, acked = carry_on(tvb, pinfo, raw, at, ip, size, number, sender)
        if place then
          if asked == nil or changing then
            asked = referenced(tree, wanted)
          end
          if asked then
            draw(tvb, pinfo, tree, number, sender, nil, place, acked)
          end
          return
        end
      elseif way.ignored and NO_SYN[byte(raw, at + 14)] then
        return
      end
    end
    observe(tvb, pinfo, number, carried)
  end
  local sender = who[number]
  if not sender then
    return
  end
  local record = records[number]
  if record then
    summarize(pinfo, sender, record)
  elseif not referenced(tree, wanted) then
    return
  end
  draw(tvb, pinfo, tree, number, sender, record)
end

function analysis.init()
  ti.reset()
  wanted, asked = wanted or Dissector.get("tiflow"), nil
end
register_postdissector(analysis)
