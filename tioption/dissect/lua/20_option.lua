-- The option area of a TCP header: its stretches, the flow options among them, whose experiment the others are
-- (OPT-01 ... OPT-08, RFC 6994). The twin of tioption/option.py.

local byte, sub = string.byte, string.sub

-- The kinds in use; preferences change them.
ti.kinds = { d = definition.kinds.d, c = definition.kinds.c }

function ti.variant(kind)
  if kind == ti.kinds.d then
    return "flow-d"
  end
  return kind == ti.kinds.c and "flow-c" or nil
end

local by_exid, exid_sizes = {}, {}
for _, experiment in ipairs(definition.experiments) do
  by_exid[experiment.exid] = experiment
  exid_sizes[#experiment.exid] = true
end

-- The experiment whose option these octets are, kind and length included; nil where they are none.
function ti.experiment_of(octets)
  if #octets < 4 or not definition.experiment_kinds[byte(octets, 1)] then
    return nil
  end
  for size = 4, 2, -2 do
    local known = exid_sizes[size] and by_exid[sub(octets, 3, 2 + size)]
    if known and known.kinds[byte(octets, 1)] and (not known.lengths or known.lengths[byte(octets, 2)]) then
      return known
    end
  end
  return nil
end

-- The name of the experiment whose identifier begins with these two octets (OPT-12).
local prefixes = {}
for _, experiment in ipairs(definition.experiments) do
  prefixes[ti.u16(experiment.exid, 1)] = experiment.name
end
function ti.prefix_of(half)
  return prefixes[math.floor(half / 256)]
end

-- The values of a whole option, nil where its octets are no flow option.
function ti.flow_option(octets)
  local kind = byte(octets, 1)
  local variant = ti.variant(kind)
  if not variant or #octets ~= definition.length or ti.experiment_of(octets) then
    return nil
  end
  local at = definition.at
  local first, second = ti.u24(octets, at["tifid.first"]), ti.u24(octets, at["tifid.second"])
  return {
    kind = kind,
    variant = variant,
    first = first,
    second = second,
    tifid = first * 16777216 + second,
    tiseq = ti.u24(octets, at.tiseq) * 16777216 + ti.u24(octets, at.tiseq + 3),
    tiack = ti.u24(octets, at.tiack) * 16777216 + ti.u24(octets, at.tiack + 3),
  }
end

function ti.same_option(one, other)
  if not one or not other then
    return one == other
  end
  return one.variant == other.variant and one.tifid == other.tifid and one.tiseq == other.tiseq
    and one.tiack == other.tiack
end

-- The well-formed options of an area of `length` octets of which `area` was captured: {kind, offset, octets, flow,
-- experiment} each. It ends at EOL and at the first option whose length is wrong or that was cut.
function ti.walk(area, length)
  local found, at = {}, 1
  if #area > length then
    area = sub(area, 1, length)
  end
  while at <= #area do
    local kind = byte(area, at)
    if kind == 0 then
      break
    elseif kind == 1 then
      at = at + 1
    else
      local size = byte(area, at + 1)
      if not size or size < 2 or at + size - 1 > #area then
        break
      end
      local option = { kind = kind, offset = at - 1, octets = sub(area, at, at + size - 1) }
      if definition.experiment_kinds[kind] or ti.variant(kind) then
        option.experiment = ti.experiment_of(option.octets)
        option.flow = ti.flow_option(option.octets)
      end
      found[#found + 1] = option
      at = at + size
    end
  end
  return found
end

-- The flow options among options.
function ti.flows_in(options)
  local flows = {}
  for _, option in ipairs(options) do
    if option.flow then
      flows[#flows + 1] = option
    end
  end
  return flows
end

-- The one flow option that counts; nil where receivers ignore what there is (OPT-04 ... OPT-06).
function ti.counted(flows)
  return #flows == 1 and flows[1].flow.first ~= 0 and flows[1].flow or nil
end
