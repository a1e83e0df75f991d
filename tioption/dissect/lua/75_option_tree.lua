-- The option where Wireshark shows TCP's options: its fields, or what else is on the kind.

local protocol = Proto.new("tiflow", "TI-flow")
ti.protocol = protocol
ti.fields = {}

local WIDTHS = { [1] = ProtoField.uint8, [3] = ProtoField.uint24, [6] = ProtoField.uint64 }
local BASES = { DEC = base.DEC, HEX = base.HEX, HEX_DEC = base.HEX_DEC }

-- Numbers take a display base and what values mean, the others only a description.
local MAKERS = {
  string = function(name, title, _, doc) return ProtoField.string(name, title, base.ASCII, doc) end,
  bytes = function(name, title, _, doc) return ProtoField.bytes(name, title, base.NONE, doc) end,
  time = function(name, title, _, doc) return ProtoField.relative_time(name, title, doc) end,
  frame = function(name, title, _, doc) return ProtoField.framenum(name, title, base.NONE, frametype.NONE, 0, doc) end,
  uint32 = function(name, title, how, doc) return ProtoField.uint32(name, title, how, nil, nil, doc) end,
  uint64 = function(name, title, how, doc) return ProtoField.uint64(name, title, how, nil, nil, doc) end,
  int64 = function(name, title, how, doc) return ProtoField.int64(name, title, how, nil, nil, doc) end,
}

local registered = {}
for _, field in ipairs(definition.fields) do
  local made = WIDTHS[field.octets]("tiflow." .. field.name, field.title, BASES[field.base], nil, nil, field.doc)
  ti.fields[field.name] = made
  registered[#registered + 1] = made
end
for _, field in ipairs(definition.derived) do
  local made = MAKERS[field.type]("tiflow." .. field.name, field.title, BASES[field.base], field.doc)
  ti.fields[field.name] = made
  registered[#registered + 1] = made
end
protocol.fields = registered

local SEVERITIES = { violation = expert.severity.ERROR, warning = expert.severity.WARN, note = expert.severity.NOTE }
ti.experts = {}
local experts = {}
for _, one in ipairs(definition.experts) do
  local made = ProtoExpert.new(one.name, one.text, expert.group.PROTOCOL, SEVERITIES[one.severity])
  ti.experts[one.rule .. one.severity] = made
  experts[#experts + 1] = made
end
protocol.experts = experts

local fields, hex48 = ti.fields, ti.hex48

local function add_flow(tree, tvb, flow)
  tree:add(fields.variant, tvb(0, 1), flow.variant):set_generated()
  for _, field in ipairs(definition.fields) do
    local range = tvb(field.offset, field.octets)
    if field.octets == 6 then
      tree:add(fields[field.name], range, ti.uint64(flow[field.name]),
        field.title .. ": " .. hex48(flow[field.name]))
    else
      tree:add(fields[field.name], range)
    end
  end
  tree:add(fields["tifid.bytes"], tvb(2, 6)):set_hidden()
end

local function add_foreign(tree, tvb, experiment)
  tree:add(fields.kind, tvb(0, 1))
  tree:add(fields.length, tvb(1, 1))
  local at = 2
  if experiment then
    local size = #experiment.exid
    tree:add(fields.experiment, tvb(2, size), experiment.title)
    tree:add(fields["experiment.exid"], tvb(2, size))
    at = at + size
  end
  if tvb:len() > at then
    tree:add(fields["experiment.data"], tvb(at))
  end
end

function protocol.dissector(tvb, pinfo, tree)
  carrier = carrier or not pinfo.in_error_pkt
  local octets = tvb:raw()
  local flow = ti.flow_option(octets)
  if flow then
    local text = "TI-flow " .. flow.variant .. ", tifid " .. hex48(flow.tifid) .. ", tiseq " .. hex48(flow.tiseq)
      .. ", tiack " .. hex48(flow.tiack)
    add_flow(tree:add(protocol, tvb(), text), tvb, flow)
    return tvb:len()
  end
  local experiment = ti.experiment_of(octets)
  local text = experiment and "Experiment " .. experiment.name .. ": " .. experiment.title
    or "Kind " .. string.byte(octets, 1) .. ", " .. #octets .. " octets: not a flow option"
  add_foreign(tree:add(protocol, tvb(), text), tvb, experiment)
  return tvb:len()
end
