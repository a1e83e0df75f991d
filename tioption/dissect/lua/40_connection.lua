-- Connections: who opened them, and how far both directions have come. The twin of tioption/flow/connection.py and
-- direction.py. Places are octets since ISN+1, in counts that do not wrap; SYN and FIN are not octets (MAP-01).

local FIN, SYN, RST, ACK = 1, 2, 4, 16
local flag, difference32 = ti.flag, ti.difference32
local POW32 = 4294967296

-- `first` is the sequence number of place 0; `factor` scales the window.
local function new_direction()
  return { segments = 0, sent = 0, acked = 0, window = 0, factor = 1 }
end

-- The place of a sequence number, taken nearest to what was sent and acknowledged; without a SYN the first number asked
-- for is place 0.
local function place(direction, seq)
  if not direction.first then
    direction.first = seq
  end
  local near = direction.sent > direction.acked and direction.sent or direction.acked
  return near + difference32((seq - direction.first) % POW32, near % POW32)
end
ti.place = place

local function begin(direction, isn)
  direction.isn = isn
  direction.from_start = true
  direction.first = (isn + 1) % POW32
end

local function observe_syn(own, segment)
  if not own.isn then
    begin(own, segment.seq)
  end
  for _, option in ipairs(segment.options) do
    if option.kind == 3 and #option.octets == 3 then
      own.window_scale = math.min(string.byte(option.octets, 3), 14)
    end
  end
end

-- Takes in a segment of `own`, which acknowledges `other`; the place it acknowledges is returned.
function ti.observe_direction(own, other, segment)
  local flags, syn = segment.flags, flag(segment.flags, SYN)
  own.segments = own.segments + 1
  if syn then
    observe_syn(own, segment)
  end
  local window = segment.window
  if not syn and own.window_scale and other.window_scale then
    own.factor = 2 ^ own.window_scale
    window = window * own.factor
  end
  if window > own.window then
    own.window = window
  end
  local acked
  if flag(flags, ACK) then
    if syn and not other.isn then
      begin(other, (segment.ack - 1) % POW32)
    end
    acked = place(other, segment.ack)
    if other.fin and acked > other.fin then
      acked = other.fin
    end
    if acked > other.acked then
      other.acked = acked
    end
  end
  local length, fin = segment.payload, flag(flags, FIN)
  if length > 0 or fin then
    local stop = place(own, syn and (segment.seq + 1) % POW32 or segment.seq) + length
    if stop > own.sent then
      own.sent = stop
    end
    if fin then
      own.fin = stop
    end
  end
  return acked
end

local function finished(direction)
  return direction.fin and direction.acked >= direction.fin
end

function ti.closed(connection)
  return connection.reset or (finished(connection.forward) and finished(connection.reverse))
end

function ti.from_start(connection)
  return connection.forward.from_start and connection.reverse.from_start
end

-- A sender is one side of a connection: whether it is the client, the direction it sends and the other one. Each way
-- between two ends knows who sends on it now.
ti.connections = 0

-- A SYN that neither repeats nor crosses one begins another connection on the same ports.
local function begins_another(sender, segment)
  local flags = segment.flags
  if not flag(flags, SYN) or flag(flags, ACK) or flag(flags, RST) then
    return false
  end
  local connection, own, other = sender.connection, sender.own, sender.other
  if own.isn == segment.seq then
    return ti.closed(connection)
  end
  return own.isn or own.segments > 0 or not other.isn or ti.closed(connection)
end

local function new_connection(segment)
  local from_server = flag(segment.flags, SYN) and flag(segment.flags, ACK)
  local connection = {
    index = ti.connections,
    first_frame = segment.number,
    first_time = segment.time,
    last_seen = segment.seconds,
    client = from_server and segment.way.destination or segment.way.source,
    server = from_server and segment.way.source or segment.way.destination,
    forward = new_direction(),
    reverse = new_direction(),
    handshake = ti.new_handshake(),
    reason = "",
    findings = {},
  }
  ti.connections = ti.connections + 1
  local client = { connection = connection, forward = true, own = connection.forward, other = connection.reverse }
  local server = { connection = connection, forward = false, own = connection.reverse, other = connection.forward }
  client.peer, server.peer = server, client
  connection.sides = { client, server }
  local own = from_server and server or client
  own.way, own.peer.way = segment.way, segment.way.other
  own.way.other.sender = own.peer
  own.way.sender = own
  return own
end

-- The sender of a segment, of a new connection where it begins one.
function ti.sender_of(segment)
  local sender = segment.way.sender
  if not sender or begins_another(sender, segment) then
    sender = new_connection(segment)
  end
  return sender
end

-- Takes the segment into its connection; the places of its first octet and of what it acknowledges are returned.
function ti.observe_connection(sender, segment)
  local connection, own = sender.connection, sender.own
  local acked = ti.observe_direction(own, sender.other, segment)
  if flag(segment.flags, RST) then
    connection.reset = true
  end
  connection.last_seen = segment.seconds
  return not flag(segment.flags, SYN) and own.first and place(own, segment.seq), acked
end

-- When a connection was heard last, in nanoseconds since the first frame.
function ti.last_time(connection)
  return ti.nanoseconds(connection.last_seen)
end
