-- The analysis of every segment of a flow. Each frame is judged when it is first visited, in order; what was found is
-- remembered by frame number and only drawn when Wireshark visits the frame again.

local byte, flag = string.byte, ti.flag
local locate = ti.locate
local SYN, ACK, PSH_ACK = 2, 16, 24
local POW30, POW31, POW32 = 1073741824, 2147483648, 4294967296
local fields, experts, protocol = ti.fields, ti.experts, ti.protocol

-- By frame number: who sent it, the places of its first octet and of what it acknowledges, and for the few frames that
-- are more than data what the judgement was.
local who, places, acked_places, records
local senders

-- The highest number of a frame that was judged.
local latest

-- What each key means: both ends, and the key of the other direction.
local ends

-- States in which only an option, or a SYN, still means something where none of its connection had one.
local OVER = { idle = true, legacy = true, failed = true, closed = true }
local DECIDED = { confirmed = true, settled = true, legacy = true, failed = true, closed = true }

function ti.reset()
  who, places, acked_places, records, ends = {}, {}, {}, {}, {}
  latest = 0
  senders = {}
  ti.senders, ti.connections = senders, 0
  ti.flows, ti.named, ti.strangers, ti.halves = {}, {}, 0, {}
  carrier = false
  ti.forget_headers()
end
ti.reset()

local function learn_ends(key, source, destination)
  if source and not ends[key] then
    local other = destination .. source
    ends[key] = { source = source, destination = destination, other = other }
    ends[other] = { source = destination, destination = source, other = key }
  end
  return ends[key]
end

-- Whether nothing but how far it has come can change in a connection as long as it only carries data.
local function steady(connection)
  local resume = connection.resume
  return connection.handshake.state == "settled" and not connection.left_by
    and not (resume and (resume.bytes_gone or resume.own.fin or resume.other.fin)) and connection.transport
end

-- Takes in a segment of data or a pure ACK on a steady connection: the same as `observe` would do, without its tables.
-- False where it is something else.
local function carry_on(tvb, pinfo, raw, at, ip, size, number, sender)
  local s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, w1, w2 = byte(raw, at + 5, at + 16)
  flags = w2 and flags % 32
  if flags ~= ACK and flags ~= PSH_ACK then
    return false
  end
  local own, other = sender.own, sender.other
  local sent, acked = own.sent, own.acked
  local near = sent > acked and sent or acked
  local place = near + (s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first - near + POW31) % POW32 - POW31
  if size == 0 then -- before segmentation offload the frame's own length holds
    size = tvb:reported_len() - ip
  end
  local length = ip + size - at - (offset - offset % 16) / 4
  if length > 0 and place + length > sent then
    own.sent = place + length
  end
  sent, acked = other.sent, other.acked
  near = sent > acked and sent or acked
  local reached = near + (a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first - near + POW31) % POW32 - POW31
  if reached > acked then
    local fin = other.fin
    other.acked = fin and reached > fin and fin or reached
  end
  local window = (w1 * 256 + w2) * own.factor
  if window > own.window then
    own.window = window
  end
  sender.connection.last_seen = pinfo.rel_ts
  who[number] = sender
  if near >= POW30 or place >= POW30 then -- beyond, a number alone no longer tells the place
    places[number], acked_places[number] = place, reached
  end
  return true
end

-- The places of a segment's first octet and of what it acknowledges.
local function places_of(number, sender, raw, at)
  local record = places[number] or acked_places[number]
  if record then
    return places[number], acked_places[number]
  end
  local s1, s2, s3, s4, a1, a2, a3, a4, _, flags = byte(raw, at + 5, at + 14)
  local own, other = sender.own, sender.other
  local place = not flag(flags, SYN) and own.first
    and (s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first + POW31) % POW32 - POW31
  local reached = flag(flags, ACK) and other.first
    and (a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first + POW31) % POW32 - POW31
  if reached and other.fin and reached > other.fin then
    reached = other.fin
  end
  return place, reached
end

-- Who sent a frame of a flow, and the place of its first octet.
function ti.sender_in(number, raw, at)
  local sender = raw and who[number]
  if not sender then
    return nil
  end
  return sender, (places_of(number, sender, raw, at))
end

-- Judges a frame that is seen for the first time.
local function observe(tvb, pinfo, raw, at, ip, key, known, carrier)
  local segment = ti.read_segment(tvb, pinfo, raw, at, ip)
  if not segment then
    return
  end
  segment.key, segment.reverse_key = key, known.other
  segment.source, segment.destination = known.source, known.destination
  local sender = ti.sender_of(segment)
  local connection = sender.connection
  if carrier or flag(segment.flags, SYN) then
    segment.options = ti.read_options(tvb, segment)
  end
  connection.tracked = connection.tracked or carrier
  local place, acked = ti.observe_connection(sender, segment)
  local number = segment.number
  who[number], places[number], acked_places[number] = sender, nil, nil
  if (place and place >= POW30) or (acked and acked >= POW30) then
    places[number], acked_places[number] = place or nil, acked
  end
  local record = ti.judge(segment, sender)
  local confirms = connection.transport and connection.transport.confirmed_frame == number
  records[number] = (record.phase or #record.findings > 0 or confirms) and record or nil
  local state = connection.handshake.state
  connection.steady = steady(connection)
  connection.quiet = not connection.tracked and OVER[state]
  connection.decided = not ti.preferences.every_segment and DECIDED[state]
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

local add48, difference48, uint64, int64 = ti.add48, ti.difference48, ti.uint64, ti.int64

local function add_position(tree, absolute, relative, anchor, origin, place)
  local position = add48(anchor, place)
  put(tree, absolute, uint64(position))
  put(tree, relative, int64(difference48(position, origin)))
end

local function add_finding(tree, one)
  put(tree, fields.rule, one.rule)
  put(tree, fields.severity, one.severity)
  local text = one.rule .. ": " .. definition.rules[one.rule].text .. (one.text and " (" .. one.text .. ")" or "")
  tree:add_proto_expert_info(experts[one.rule .. one.severity] or experts[one.rule .. "note"], text)
end

local number_field, previous_field, next_field = fields.transport, fields["transport.previous"], fields["transport.next"]
local position, position_relative = fields.position, fields["position.relative"]
local acknowledged, acknowledged_relative = fields.ack_position, fields["ack_position.relative"]

local function draw_transport(tree, transport, sender, number, place, acked)
  put(tree, number_field, transport.number)
  add_frame(tree, previous_field, transport.previous)
  add_frame(tree, next_field, transport.next)
  local anchors, origins = transport.anchors, transport.connection.flow.transports[1].anchors
  local own_anchor, own_origin, anchor, origin = anchors.forward, origins.forward, anchors.reverse, origins.reverse
  if sender.forward == transport.turned then
    own_anchor, own_origin, anchor, origin = anchor, origin, own_anchor, own_origin
  end
  if place then
    add_position(tree, position, position_relative, own_anchor, own_origin, place)
  end
  if acked then
    add_position(tree, acknowledged, acknowledged_relative, anchor, origin, acked)
  end
  if transport.confirmed_frame == number and transport.number > 1 then
    add_time(tree, "reconnect_time", transport.reconnect_time)
    add_time(tree, "outage", transport.outage)
  end
end

-- The block on a frame: flow and transport, where it stands in both streams, what it breaks.
local function draw(tvb, tree, number, sender, record, raw, at)
  local connection = sender.connection
  local flow, transport = connection.flow, connection.transport
  local ended = not transport and OVER[connection.handshake.state]
  if not record and (not flow or ended) then
    return
  end
  local block = tree:add(protocol, tvb(0, 0), "TI-flow analysis")
  add, set_generated = add or block.add, set_generated or block.set_generated
  set_generated(block)
  if flow then
    put(block, fields.flow, flow.index)
    if transport then
      draw_transport(block, transport, sender, number, places_of(number, sender, raw, at))
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

function analysis.dissector(tvb, pinfo, tree)
  local carried = carrier
  carrier = false
  local raw, at, key, ip, size, source, destination = locate(tvb, pinfo)
  if not raw then
    return
  end
  local sender = senders[key]
  local connection = sender and not carried and sender.connection
  if connection and connection.quiet and (byte(raw, at + 14) or 0) % 4 < SYN then
    return
  end
  local number = pinfo.number
  referenced = referenced or tree.referenced
  if number > latest or (number == latest and not pinfo.visited) then
    if number == latest then -- under a read filter several frames have one number, of which the last is kept
      who[number], records[number] = nil, nil
    end
    latest = number
    if connection and connection.decided and (byte(raw, at + 14) or 0) % 4 < SYN then
      return
    elseif connection and connection.steady and carry_on(tvb, pinfo, raw, at, ip, size, number, sender) then
      if not referenced(tree, wanted) then
        return
      end
    else
      observe(tvb, pinfo, raw, at, ip, key, learn_ends(key, source, destination), carried)
    end
  end
  sender = who[number]
  local record = records[number]
  if record then
    summarize(pinfo, sender, record)
  elseif not sender or not referenced(tree, wanted) then
    return
  end
  draw(tvb, tree, number, sender, record, raw, at)
end

function analysis.init()
  ti.reset()
  wanted = wanted or Dissector.get("tiflow")
end
register_postdissector(analysis)
