-- TI-flows: their transports, where each stands in both streams, and the rules between transports. The twin of
-- tioption/flow/tiflow.py and tioption/verdict/flow_rules.py.

local add, hex48, difference48, add48 = ti.add_finding, ti.hex48, ti.difference48, ti.add48
local FIN, SYN, RST = 1, 2, 4
local flag = ti.flag
local SECOND = 1000000000 -- times are in nanoseconds since the first frame
local DORMANT, QUARANTINE, ALIVE = 300 * SECOND, 240 * SECOND, SECOND -- RES-21, RES-22, RFC 6298
local MOST_WINDOW, BELIEVABLE_JUMP = 1073741824, 70368744177664 -- RES-04; 2^46
local STRANGERS, RIVALS, STEPS = 20, 8, 5

-- Every flow by number, those that were only offered included; the established ones by variant and TIFID.
ti.flows, ti.named = {}, {}
ti.strangers, ti.halves = 0, {}

local function name_of(option)
  return option.variant .. hex48(option.tifid)
end

local function new_flow(option)
  local flow = { index = #ti.flows, variant = option.variant, tifid = option.tifid, transports = {}, resumes = {},
    connections = {} }
  ti.flows[#ti.flows + 1] = flow
  return flow
end

local function join(connection, flow)
  connection.flow = flow
  flow.connections[#flow.connections + 1] = connection
end

-- The direction of a transport that carries the stream of the host that opened the flow (`forward`) or the other one.
local function carrying(transport, forward)
  local connection = transport.connection
  return forward ~= transport.turned and connection.forward or connection.reverse
end

-- How far one stream of a flow has come over all its transports: sent, acked, fin, origin; counts do not wrap.
local function positions(flow, forward)
  local initial = flow.origins or (flow.transports[1] and flow.transports[1].anchors)
  local origin = initial and (forward and initial.forward or initial.reverse) or 0
  local reached = { sent = 0, acked = 0, origin = origin }
  for _, transport in ipairs(flow.transports) do
    local direction = carrying(transport, forward)
    local anchor = forward and transport.anchors.forward or transport.anchors.reverse
    local count = reached.sent + difference48((difference48(anchor, origin) - reached.sent) % 281474976710656, 0)
    reached.fin = direction.fin and count + direction.fin or reached.fin
    reached.acked = math.max(reached.acked, count + direction.acked)
    -- What was acknowledged was sent, though the capture may have missed it.
    reached.sent = math.max(reached.sent, count + direction.sent, reached.acked)
  end
  return reached
end
ti.positions = positions

-- The octets of a stream before a position, taken nearest to what was sent (MAP-07).
local function count_of(stream, position)
  return stream.sent + difference48((position - stream.origin - stream.sent) % 281474976710656, 0)
end

local function at(stream, count)
  return hex48(add48(stream.origin, count))
end

local function from_start(flow)
  return flow.origins and flow.transports[1] and ti.from_start(flow.transports[1].connection)
end

local function between(stream, low, high, value)
  return "expected " .. at(stream, low) .. " to " .. at(stream, high) .. ", found " .. hex48(value)
end

-- The address in a key that begins with it; both hosts' addresses are of one size.
local function address(peer)
  return string.sub(peer, 1, -3)
end

-- SEC-01: first halves of one host at equal small distances.
local function sequence(found, segment, offer)
  local source = address(segment.way.source)
  local before = ti.halves[source] or { offer.first, 0, 0 }
  local distance = offer.first - before[1]
  local run = (distance ~= 0 and distance == before[2] and math.abs(distance) <= 256) and before[3] + 1 or 1
  ti.halves[source] = { offer.first, distance, run }
  if run == STEPS then
    add(found, "SEC-01")
  end
end

-- A resume of a flow that is not known: of the other variant, from before the capture, or made up.
local function stranger(found, offer)
  local other = offer.variant == "flow-d" and "flow-c" or "flow-d"
  if ti.named[other .. hex48(offer.tifid)] then
    add(found, "CTL-02", "expected " .. other .. ", found " .. offer.variant)
    return
  end
  ti.strangers = ti.strangers + 1
  if ti.strangers == STRANGERS then
    add(found, "SEC-04", "found " .. STRANGERS .. " resumes of flows that nobody knows")
  end
end

local function circumstances(found, segment, connection, resume)
  local old = resume.old
  local same = (connection.client == old.client and connection.server == old.server)
    or (connection.client == old.server and connection.server == old.client)
  local silence, over = segment.time - ti.last_time(old), ti.closed(old)
  if resume.turned then
    add(found, "RES-18")
  elseif address(connection.client) ~= address(old.client) then
    add(found, "RES-03")
  end
  if same and not over then
    add(found, "RES-12")
  elseif silence < ALIVE and not over then
    add(found, "RES-10")
  end
  if silence > DORMANT then
    add(found, "RES-21", "found " .. math.floor(silence / SECOND) .. " s")
  end
end

-- RES-02, MAP-01, MAP-02, MAP-07 and SEC-05 on the positions of a resume SYN.
local function resume_positions(found, resume, demoted)
  local own, other, offer = resume.own, resume.other, resume.offer
  local stopped, has = count_of(own, offer.tiseq), count_of(other, offer.tiack)
  if stopped < own.acked or stopped > own.sent then
    add(found, "RES-02", between(own, own.acked, own.sent, offer.tiseq), demoted)
  end
  if other.fin and has == other.fin + 1 then
    add(found, "MAP-01", nil, demoted)
  elseif has < other.acked or has > other.sent then
    add(found, "MAP-02", between(other, other.acked, other.sent, offer.tiack), demoted)
  end
  if math.abs(stopped - own.sent) > BELIEVABLE_JUMP then
    add(found, "MAP-07", "expected " .. at(own, own.sent) .. ", found " .. hex48(offer.tiseq), demoted)
  end
  if math.abs(stopped - own.acked) > resume.window then
    add(found, "SEC-05", "expected " .. at(own, own.acked) .. ", found " .. hex48(offer.tiseq), demoted)
  end
end

-- A SYN with the option, seen for the first time.
function ti.offered(segment, connection, offer)
  local found = {}
  local flow = offer.second ~= 0 and ti.named[name_of(offer)] or nil
  if not flow then
    join(connection, new_flow(offer))
    if offer.second == 0 then
      sequence(found, segment, offer)
    else
      stranger(found, offer)
    end
    return found
  end
  join(connection, flow)
  local latest = flow.transports[#flow.transports]
  local old, first = latest.connection, flow.transports[1].connection
  local server, client = address(first.server), address(first.client)
  local turned = address(connection.client) == server and server ~= client
  local forward, reverse = positions(flow, true), positions(flow, false)
  flow.window = math.min(math.max(flow.window or 0, old.forward.window, old.reverse.window), MOST_WINDOW)
  local resume = {
    offer = offer,
    from = latest,
    old = old,
    turned = turned,
    own = turned and reverse or forward,
    other = turned and forward or reverse,
    window = flow.window,
    sent_on_old = carrying(latest, not turned).sent,
    syn_frame = segment.number,
  }
  connection.resume = resume
  flow.resumes[#flow.resumes + 1] = resume
  old.left_by = old.left_by or {}
  table.insert(old.left_by, resume)
  ti.sort(old)
  circumstances(found, segment, connection, resume)
  resume_positions(found, resume, not from_start(flow) and "note" or nil)
  return found
end

-- SEC-02, RES-22 and CTL-04: the complete TIFID of a new flow beside those there are.
local function identifier(found, segment, answer)
  local other = answer.variant == "flow-d" and "flow-c" or "flow-d"
  if ti.named[other .. hex48(answer.tifid)] then
    add(found, "CTL-04")
  end
  local flow = ti.named[name_of(answer)]
  if not flow then
    return
  end
  local last = flow.transports[#flow.transports].connection
  if not ti.closed(last) then
    add(found, "SEC-02")
  elseif segment.time - ti.last_time(last) < QUARANTINE then
    add(found, "RES-22", "found " .. math.floor((segment.time - ti.last_time(last)) / SECOND) .. " s")
  end
end

-- The first SYN-ACK with the option.
function ti.answered(segment, connection)
  local found, handshake, resume = {}, connection.handshake, connection.resume
  local answer = handshake.answer
  if not answer then
    return found -- another SYN-ACK had come before, and the handshake goes by the first
  end
  if not connection.flow then
    join(connection, new_flow(answer))
  elseif not resume and not ti.resumes(handshake) then
    connection.flow.tifid = answer.tifid
  end
  if not resume then
    if not ti.resumes(handshake) then
      identifier(found, segment, answer)
    end
    return found
  end
  local own, other, offer = resume.own, resume.other, resume.offer
  local stopped, has = count_of(own, offer.tiseq), count_of(other, offer.tiack)
  local most = other.sent + (other.fin and 1 or 0)
  if has < other.acked or has > most or math.abs(stopped - own.acked) > resume.window then
    add(found, "RES-04", nil, not from_start(connection.flow) and "note" or nil)
  end
  local asked = count_of(own, answer.tiack)
  resume.bytes_gone = asked < own.acked or asked > math.max(own.sent, stopped)
  return found
end

-- The anchors of a transport (R1, MAP-03); where one of the last two segments was not captured the other tells them.
local function anchors(answer, confirmation)
  return {
    forward = confirmation and confirmation.tiseq or answer.tiack,
    reverse = answer and answer.tiseq or confirmation.tiack,
  }
end

-- Takes a confirmed transport into its flow.
function ti.confirmed(segment, connection)
  local found, handshake, resume = {}, connection.handshake, connection.resume
  local answer = handshake.answer or handshake.confirmation
  if not answer or answer.first == 0 or answer.second == 0 then
    return found
  end
  local anchored = anchors(handshake.answer, handshake.confirmation)
  if not resume then
    local known = ti.named[name_of(answer)]
    if known and known.transports[1] and connection.first_frame < known.transports[1].connection.first_frame then
      return found -- its third ACK comes late: others carry the flow by now
    end
    local flow = connection.flow
    if not flow or #flow.transports > 0 then
      flow = new_flow(answer)
      join(connection, flow)
    end
    flow.variant, flow.tifid = answer.variant, answer.tifid
    -- Without its SYN nobody knows whether the transport opened the flow or resumed it.
    if handshake.offer and not ti.resumes(handshake) then
      flow.origins = anchored
    end
    ti.named[name_of(answer)] = flow
  elseif resume.turned then
    anchored = { forward = anchored.reverse, reverse = anchored.forward }
  end
  local flow = connection.flow
  local before = flow.transports[#flow.transports]
  local transport = {
    connection = connection,
    anchors = anchored,
    turned = resume ~= nil and resume.turned,
    number = #flow.transports + 1,
    previous = before,
    confirmed_frame = segment.number,
    reconnect_time = connection.syn_time and segment.time - connection.syn_time,
    outage = before and connection.first_time - ti.last_time(before.connection),
  }
  if before then
    before.next = before.next or transport
  end
  flow.transports[#flow.transports + 1] = transport
  connection.transport = transport
  if resume then
    resume.confirmed_frame = segment.number
    for number = math.max(1, #flow.resumes - RIVALS + 1), #flow.resumes do
      local one = flow.resumes[number]
      if one ~= resume and (one.confirmed_frame or 0) > resume.syn_frame then
        add(found, "RES-16")
        break
      end
    end
  end
  return found
end

-- RES-15: data after the place where its stream had ended on an earlier transport.
local function beyond_the_end(found, segment, sender)
  local connection = sender.connection
  local transport, resume = connection.transport, connection.resume
  local ended = sender.forward and resume.own or resume.other
  if not ended.fin or segment.payload == 0 then
    return
  end
  local anchor = sender.forward ~= transport.turned and transport.anchors.forward or transport.anchors.reverse
  local last = add48(anchor, ti.place(sender.own, segment.seq) + segment.payload)
  if count_of(ended, last) > ended.fin then
    local demoted = not from_start(connection.flow) and "note" or nil
    add(found, "RES-15", "expected " .. at(ended, ended.fin) .. ", found " .. hex48(last), demoted)
  end
end

-- RES-07, RES-09 and RES-11: what still happens on a transport that is being left.
local function on_the_old(found, segment, sender, resume)
  local by_resumer = sender.forward ~= resume.turned
  if resume.confirmed_frame then
    if flag(segment.flags, FIN) then
      add(found, "RES-11")
    end
    return
  end
  if (flag(segment.flags, RST) or flag(segment.flags, FIN)) and not by_resumer then
    add(found, "RES-07")
  end
  if by_resumer and segment.payload > 0 and sender.own.sent > resume.sent_on_old then
    resume.sent_on_old = sender.own.sent
    add(found, "RES-09")
  end
end

-- A segment outside any handshake, of a connection that carries or carried a flow.
function ti.carried(segment, sender)
  local found, connection = {}, sender.connection
  local resume = connection.resume
  if resume and resume.bytes_gone and segment.payload > 0 then
    resume.bytes_gone = false
    add(found, "RES-14", nil, not from_start(connection.flow) and "note" or nil)
  end
  if connection.transport and resume then
    beyond_the_end(found, segment, sender)
  end
  local left_by = connection.left_by
  if left_by then
    for number = math.max(1, #left_by - RIVALS + 1), #left_by do
      on_the_old(found, segment, sender, left_by[number])
    end
  end
  return found
end
