-- What a capture holds, flow by flow, as text: for a window of Wireshark, and for tshark to print at the end.

local format, hex48 = string.format, ti.hex48

local function seconds(nanoseconds)
  return nanoseconds and format("%.6f", nanoseconds / 1000000000) or "-"
end

local function verdict_of(flow)
  local latest = flow.connections[#flow.connections]
  local verdict, reason = ti.verdict(latest)
  return reason ~= "" and verdict .. " (" .. reason .. ")" or verdict
end

local function rules_of(flow)
  local counts, order = {}, {}
  for _, connection in ipairs(flow.connections) do
    for _, one in ipairs(connection.findings) do
      if not counts[one.rule] then
        counts[one.rule] = 0
        order[#order + 1] = one.rule
      end
      counts[one.rule] = counts[one.rule] + 1
    end
  end
  for number, rule in ipairs(order) do
    order[number] = counts[rule] > 1 and rule .. " x" .. counts[rule] or rule
  end
  return #order > 0 and table.concat(order, ", ") or "-"
end

local function flow_lines(lines, flow)
  local forward, reverse = ti.positions(flow, true), ti.positions(flow, false)
  lines[#lines + 1] = format("flow %d  %s  %s  %s  %d transports  %.0f bytes A to B  %.0f bytes B to A", flow.index,
    flow.variant, hex48(flow.tifid), verdict_of(flow), #flow.transports, forward.sent, reverse.sent)
  for _, transport in ipairs(flow.transports) do
    local text = format("    transport %d  from frame %d", transport.number, transport.connection.first_frame)
    if transport.previous then
      text = text .. "  reconnect " .. seconds(transport.reconnect_time) .. " s  outage " .. seconds(transport.outage)
        .. " s"
    end
    lines[#lines + 1] = text
  end
  lines[#lines + 1] = "    rules  " .. rules_of(flow)
end

-- The statistics of what was seen so far.
function ti.statistics()
  local established, transports, resumes, lines = 0, 0, 0, {}
  for _, flow in ipairs(ti.flows) do
    established = established + (#flow.transports > 0 and 1 or 0)
    transports = transports + #flow.transports
    for _, transport in ipairs(flow.transports) do
      resumes = resumes + (transport.previous and 1 or 0)
    end
    flow_lines(lines, flow)
  end
  local head = format("TI-flow: %d flows offered, %d established, %d transports, %d resumes", #ti.flows, established,
    transports, resumes)
  table.insert(lines, 1, head)
  return table.concat(lines, "\n") .. "\n"
end

local listening = false

-- Print the statistics when tshark has read everything.
function ti.print_statistics()
  if listening or gui_enabled() then
    return
  end
  listening = true
  local listener = Listener.new("frame")
  function listener.draw()
    print(ti.statistics())
  end
end
