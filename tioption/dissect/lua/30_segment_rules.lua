-- What one segment alone shows. The twin of tioption/verdict/segment.py.

local hex48 = ti.hex48
local FIN, SYN, RST, ACK = 1, 2, 4, 16
local flag = ti.flag
local BESIDE = { [19] = "MD5", [29] = "TCP-AO", [34] = "Fast Open" }
local LEAST_S0 = 65536

local function add(found, rule, text, severity)
  found[#found + 1] = { rule = rule, text = text, severity = severity or definition.rules[rule].severity }
end
ti.add_finding = add

local function on_length(found, option, flows)
  local octets = #option.octets
  local other_format = octets == definition.length + 2 or octets == definition.length + 4
  if #flows > 0 or not other_format then
    add(found, "OPT-01", "found " .. octets .. " octets", #flows == 0 and "note" or nil)
  end
  if other_format then
    add(found, "OPT-03", "found " .. octets .. " octets")
  end
end

local function on_format(found, option, flows)
  local flow, same, other = option.flow, 0, false
  for _, one in ipairs(flows) do
    if one.kind == option.kind then
      same = same + 1
    else
      other = true
    end
  end
  if same > 1 then
    add(found, "OPT-04", "found kind " .. option.kind .. " " .. same .. " times")
  end
  if other then
    add(found, "OPT-05")
  end
  if flow.first == 0 then
    add(found, "OPT-06")
  end
  if option.offset % 4 ~= 0 then
    add(found, "OPT-08", "found at octet " .. option.offset)
  end
  local name = definition.experiment_kinds[option.kind] and ti.prefix_of(flow.first)
  if name then
    add(found, "OPT-12", "found that of " .. name)
  end
end

local function on_place(found, segment, flow, options)
  if flag(segment.flags, ACK) and flow.second == 0 then
    add(found, "OPT-07")
  end
  if flag(segment.flags, RST) then
    add(found, "OPT-10", "found on a RST")
  end
  if flag(segment.flags, FIN) then
    add(found, "OPT-10", "found on a FIN")
  end
  for _, other in ipairs(options) do
    local name = BESIDE[other.kind] or (other.experiment and other.experiment.name == "tfo" and "Fast Open")
    if name then
      add(found, "OPT-11", "found " .. name)
    end
  end
  if segment.payload > 0 then
    local octets = "found " .. segment.payload .. " octets"
    if not flag(segment.flags, SYN) then
      add(found, "EST-11", octets)
    elseif flag(segment.flags, ACK) or flow.second == 0 then
      add(found, "EST-15", octets)
    else
      add(found, "RES-23", octets)
    end
  end
end

local function on_values(found, segment, flow)
  local flags = segment.flags
  if not flag(flags, SYN) or flag(flags, ACK) or flag(flags, RST) or flag(flags, FIN) or flow.second ~= 0 then
    return
  end
  if flow.tiack ~= 0 then
    add(found, "EST-01", "expected TIAck 0, found " .. hex48(flow.tiack))
  end
  if flow.tiseq < LEAST_S0 then
    add(found, "EST-02", "found TISeq " .. hex48(flow.tiseq))
  end
end

-- Every finding on the segment whose option area was walked to `options`.
function ti.findings_alone(segment, options, flows)
  local found = {}
  for _, option in ipairs(options) do
    if option.flow then
      on_format(found, option, flows)
      on_place(found, segment, option.flow, options)
      on_values(found, segment, option.flow)
    elseif ti.variant(option.kind) and not option.experiment then
      on_length(found, option, flows)
    end
  end
  return found
end
