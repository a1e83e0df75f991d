-- The analysis of every segment of a flow. Each frame is judged once, when it is first seen, in order; what was found is
-- remembered by frame number and only drawn when Wireshark asks for the frame again.

local byte, flag = string.byte, ti.flag
local SYN = 2
local fields, experts, protocol = ti.fields, ti.experts, ti.protocol

-- By frame number: who sent it, the places of its first octet and of what it acknowledges, and for the few frames that
-- are more than data what the judgement was.
local who, places, acked_places, records

-- What each key means: both ends, and the key of the other direction.
local ends

-- States in which only an option, or a SYN, still means something where none of its connection had one.
local OVER = { idle = true, legacy = true, failed = true, closed = true }
local DECIDED = { confirmed = true, settled = true, legacy = true, failed = true, closed = true }

function ti.reset()
  who, places, acked_places, records, ends = {}, {}, {}, {}, {}
  ti.senders, ti.connections = {}, 0
  ti.flows, ti.named, ti.strangers, ti.halves = {}, {}, 0, {}
  ti.carrier = false
  ti.forget_headers()
end
ti.reset()

function ti.sender_in(frame)
  return who[frame], places[frame]
end

local function learn_ends(key, source, destination)
  if source and not ends[key] then
    local other = destination .. source
    ends[key] = { source = source, destination = destination, other = other }
    ends[other] = { source = destination, destination = source, other = key }
  end
  return ends[key]
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
  who[number], places[number], acked_places[number] = sender, place or nil, acked
  local record = ti.judge(segment, sender)
  if record.phase or #record.findings > 0 or connection.transport and connection.transport.confirmed_frame == number then
    records[number] = record
  end
  local state = connection.handshake.state
  connection.quiet = (not connection.tracked and OVER[state]) or (not ti.preferences.every_segment and DECIDED[state])
end

local function add_time(tree, field, nanoseconds)
  if nanoseconds then
    tree:add(fields[field], ti.nstime(nanoseconds)):set_generated()
  end
end

local function add_frame(tree, field, transport)
  if transport then
    tree:add(fields[field], transport.connection.first_frame):set_generated()
  end
end

local function add_position(tree, name, transport, forward, place)
  local anchors, origins = transport.anchors, transport.connection.flow.transports[1].anchors
  local anchor = forward and anchors.forward or anchors.reverse
  local origin = forward and origins.forward or origins.reverse
  local position = ti.add48(anchor, place)
  tree:add(fields[name], ti.uint64(position), definition.titles[name] .. ": " .. ti.hex48(position)):set_generated()
  tree:add(fields[name .. ".relative"], ti.int64(ti.difference48(position, origin))):set_generated()
end

local function add_finding(tree, one)
  tree:add(fields.rule, one.rule):set_generated()
  local text = one.rule .. ": " .. definition.rules[one.rule].text .. (one.text and " (" .. one.text .. ")" or "")
  tree:add_proto_expert_info(experts[one.rule .. one.severity] or experts[one.rule .. "note"], text)
end

local function draw_transport(tree, transport, sender, number)
  tree:add(fields.transport, transport.number):set_generated()
  add_frame(tree, "transport.previous", transport.previous)
  add_frame(tree, "transport.next", transport.next)
  local forward = sender.forward ~= transport.turned
  local place, acked = places[number], acked_places[number]
  if place then
    add_position(tree, "position", transport, forward, place)
  end
  if acked then
    add_position(tree, "ack_position", transport, not forward, acked)
  end
  if transport.confirmed_frame == number and transport.number > 1 then
    add_time(tree, "reconnect_time", transport.reconnect_time)
    add_time(tree, "outage", transport.outage)
  end
end

-- The block on a frame: flow and transport, where it stands in both streams, what it breaks.
local function draw(tvb, tree, number, sender, record)
  local connection = sender.connection
  local flow, transport = connection.flow, connection.transport
  local ended = not transport and OVER[connection.handshake.state]
  if not record and (not flow or ended) then
    return
  end
  local block = tree:add(protocol, tvb(0, 0), "TI-flow analysis"):set_generated()
  if flow then
    block:add(fields.flow, flow.index):set_generated()
    if transport then
      draw_transport(block, transport, sender, number)
    elseif not ended and connection.resume then
      block:add(fields.transport, #flow.transports + 1):set_generated()
    end
  end
  if record then
    if record.phase then
      block:add(fields.phase, record.phase):set_generated()
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
local wanted

function analysis.dissector(tvb, pinfo, tree)
  local carrier = ti.carrier
  ti.carrier = false
  local raw, at, key, ip, source, destination = ti.locate(tvb, pinfo)
  if not raw then
    return
  end
  local sender = ti.senders[key]
  if sender and sender.connection.quiet and not carrier and not flag(byte(raw, at + 14) or 0, SYN) then
    return
  end
  local number = pinfo.number
  if not who[number] then
    observe(tvb, pinfo, raw, at, ip, key, learn_ends(key, source, destination), carrier)
  end
  sender = who[number]
  if not sender then
    return
  end
  local record = records[number]
  if record then
    summarize(pinfo, sender, record)
  elseif not (tree.visible or tree:referenced(wanted)) then
    return
  end
  draw(tvb, tree, number, sender, record)
end

function analysis.init()
  ti.reset()
  wanted = wanted or Dissector.get("tiflow")
end
register_postdissector(analysis)
