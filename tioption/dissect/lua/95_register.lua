-- Preferences and registration.

local protocol = ti.protocol
ti.preferences = { relative = true, every_segment = true }

protocol.prefs.kind_d = Pref.uint("Kind of Flow-D", definition.kinds.d, "TCP option kind of the data variant (OPT-02)")
protocol.prefs.kind_c = Pref.uint("Kind of Flow-C", definition.kinds.c,
  "TCP option kind of the control variant (OPT-02)")
protocol.prefs.relative = Pref.bool("Relative positions in the Info column", true,
  "Positions in the packet list count from the initial positions of the flow")
protocol.prefs.every_segment = Pref.bool("Analyse every segment", true,
  "Follow all segments of a flow, data too; without it only handshakes and options are looked at")
protocol.prefs.statistics = Pref.bool("Print statistics (tshark)", false,
  "At the end tshark prints every flow with its transports, outages, octets and rules")

-- The kinds we have, each with Wireshark's own dissector of it, which gets it back.
local bound = {}

local function bind(kinds)
  local options = DissectorTable.get("tcp.option")
  for kind, before in pairs(bound) do
    options:remove(kind, protocol)
    if before then
      options:add(kind, before)
    end
  end
  bound = {}
  for _, kind in ipairs(kinds) do
    if kind > 1 and kind < 256 and bound[kind] == nil then
      bound[kind] = options:get_dissector(kind) or false
      options:add(kind, protocol)
    end
  end
end

function protocol.prefs_changed()
  local prefs = protocol.prefs
  ti.kinds.d, ti.kinds.c = prefs.kind_d, prefs.kind_c
  ti.preferences.relative, ti.preferences.every_segment = prefs.relative, prefs.every_segment
  bind({ prefs.kind_d, prefs.kind_c })
  if prefs.statistics then
    ti.print_statistics()
  end
end

bind({ ti.kinds.d, ti.kinds.c })
