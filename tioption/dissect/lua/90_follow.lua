-- Following a flow: the octets of one of its streams across all its transports.

local byte, format, sub = string.byte, string.format, string.sub

-- The captured payload of a segment of this stream, and how many octets of the stream come before it; nil for others.
local function piece(tvb, pinfo, index, forward)
  local sender, place = ti.sender_in(pinfo.number, tvb, pinfo)
  local transport = sender and sender.connection.transport
  if not transport or not place or sender.connection.flow.index ~= index
    or (sender.forward ~= transport.turned) ~= forward then
    return nil
  end
  local raw, at, _, ip = ti.locate(tvb, pinfo)
  local segment = raw and ti.read_segment(tvb, pinfo, raw, at, ip)
  if not segment then
    return nil
  end
  local start = at + math.max(20, segment.header)
  local captured = math.min(segment.payload, tvb:len() - start)
  if captured <= 0 then
    return nil
  end
  local origins = transport.connection.flow.transports[1].anchors
  local anchor = forward and transport.anchors.forward or transport.anchors.reverse
  local origin = forward and origins.forward or origins.reverse
  return ti.difference48(ti.add48(anchor, place), origin), tvb:raw(start, captured)
end

-- The pieces put together: stretches {start, octets} in order, each octet once.
local function joined(pieces)
  table.sort(pieces, function(one, other)
    return one[1] < other[1] or (one[1] == other[1] and #one[2] > #other[2])
  end)
  local stretches, reached = {}, nil
  for _, one in ipairs(pieces) do
    local start, octets = one[1], one[2]
    if reached and start < reached then
      octets = sub(octets, reached - start + 1)
      start = reached
    end
    if #octets > 0 then
      if start ~= reached then
        stretches[#stretches + 1] = { start, {} }
      end
      local parts = stretches[#stretches][2]
      parts[#parts + 1] = octets
      reached = start + #octets
    end
  end
  for _, stretch in ipairs(stretches) do
    stretch[2] = table.concat(stretch[2])
  end
  return stretches
end

local function hex_lines(lines, start, octets)
  for at = 1, #octets, 16 do
    local row = sub(octets, at, at + 15)
    local hex = row:gsub(".", function(octet) return format("%02x ", byte(octet)) end)
    lines[#lines + 1] = format("%08x  %-48s %s", start + at - 1, hex, (row:gsub("[^\32-\126]", ".")))
  end
end

-- The stream as text: where each stretch begins, its octets in hexadecimal and as characters.
local function stream_text(index, forward, pieces)
  local lines, reached = { format("flow %d, %s", index, forward and "A to B" or "B to A") }, 0
  for _, stretch in ipairs(joined(pieces)) do
    if stretch[1] > reached then
      lines[#lines + 1] = format("(%.0f octets are not in the capture)", stretch[1] - reached)
    end
    hex_lines(lines, stretch[1], stretch[2])
    reached = stretch[1] + #stretch[2]
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Collects one stream of a flow while packets are tapped; `show` gets the text at the end.
function ti.follow(index, forward, show)
  local pieces, listener = {}, Listener.new("frame")
  function listener.packet(pinfo, tvb)
    local start, octets = piece(tvb, pinfo, index, forward)
    if start then
      pieces[#pieces + 1] = { start, octets }
    end
  end
  function listener.reset()
    pieces = {}
  end
  function listener.draw()
    show(stream_text(index, forward, pieces))
  end
  return listener
end

local function window(title, text)
  local made = TextWindow.new(title)
  made:set(text)
  return made
end

local function follow_dialog(forward, title)
  new_dialog(title, function(answer)
    local index = tonumber(answer)
    if not index then
      report_failure("expected the number of a flow, found '" .. tostring(answer) .. "'")
      return
    end
    local shown
    local listener = ti.follow(index, forward, function(text)
      shown = shown or window(title .. " " .. index, "")
      shown:set(text)
    end)
    retap_packets()
    listener:remove()
  end, "Flow (tiflow.flow)")
end

if gui_enabled() then
  register_menu("TI-flow/Statistics", function()
    window("TI-flow statistics", ti.statistics())
  end, MENU_TOOLS_UNSORTED)
  register_menu("TI-flow/Follow A to B", function()
    follow_dialog(true, "Follow TI-flow, A to B")
  end, MENU_TOOLS_UNSORTED)
  register_menu("TI-flow/Follow B to A", function()
    follow_dialog(false, "Follow TI-flow, B to A")
  end, MENU_TOOLS_UNSORTED)
end

-- From 4.4 on an installed plugin is loaded by require, whose arguments are its name and its path.
local name, path = ti.arguments[1], ti.arguments[2]
if path and path:sub(-#name - 4) == name .. ".lua" then
  ti.arguments = {}
end

-- tshark -X lua_script:tiflow.lua -X lua_script1:stats, or -X lua_script1:follow,FLOW,A
function tiflow_run(arguments)
  for _, argument in ipairs(arguments) do
    local flow, side = argument:match("^follow,(%d+),([AB])$")
    if argument == "stats" then
      ti.print_statistics()
    elseif flow then
      ti.follow(tonumber(flow), side == "A", print)
    else
      error("expected stats or follow,FLOW,A (or B), found " .. argument)
    end
  end
end
tiflow_run(ti.arguments)
