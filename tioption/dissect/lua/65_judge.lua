-- The judgement of a segment: alone, beside its handshake, beside the other transports of its flow. The twin of
-- tioption/verdict/validator.py and handshake_rules.py.

local add, hex48, difference48 = ti.add_finding, ti.hex48, ti.difference48
local SYN, RST, ACK, FIN = 2, 4, 16, 1
local flag = ti.flag
local POW48 = 281474976710656

-- Rules for which the table speaks for all differences of a segment at once.
local WHOLE = { ["EST-06"] = true, ["EST-07"] = true, ["EST-10"] = true, ["EST-14"] = true, ["LEG-01"] = true,
  ["LEG-07"] = true, ["RES-06"] = true, ["RES-13"] = true, ["EST-09"] = true }
local MALFORMED = { ["OPT-01"] = true, ["OPT-03"] = true, ["OPT-04"] = true, ["OPT-05"] = true, ["OPT-06"] = true }

local function differences_text(differences)
  if #differences == 0 then
    return nil
  end
  local expected, found = {}, {}
  for number, one in ipairs(differences) do
    expected[number] = one.field .. " " .. one.expected
    found[number] = one.field .. " " .. one.found
  end
  return "expected " .. table.concat(expected, ", ") .. ", found " .. table.concat(found, ", ")
end

local function table_severity(rule, before, event)
  if rule == "EST-10" and event == "CONFIRM_PLAIN" then
    return "warning"
  end
  if rule == "LEG-07" and before == "echoed" then
    return "violation"
  end
  return nil
end

-- The answerer's oldest unacknowledged position, where the flow being resumed is known.
local function unacknowledged(connection)
  local other = connection.resume and connection.resume.other
  return other and (other.origin + other.acked) % POW48
end

local function handshake_findings(found, segment, connection, before, event, rule, differences, una)
  if rule and not (rule == "OPT-09" and flag(segment.flags, FIN)) then
    add(found, rule, differences_text(differences), table_severity(rule, before, event))
  end
  if not (rule and WHOLE[rule]) then
    for _, one in ipairs(differences) do
      local trims = one.rule == "MAP-04" and one.field == "tiseq" and una and one.found == hex48(una)
      local text = "expected " .. one.field .. " " .. one.expected .. ", found " .. one.found
      add(found, one.rule, text, trims and "warning" or nil)
      if one.rule == "MAP-04" and event == "ANSWER_WRONG" and difference48(one.value, one.wanted) > 0 then
        add(found, "MAP-05", text)
      end
    end
  end
  local handshake = connection.handshake
  if event == "ANSWER_RIGHT" and not ti.resumes(handshake) and handshake.syn and handshake.answer
    and handshake.answer.tiseq < 65536 then
    add(found, "EST-02", "found TISeq " .. hex48(handshake.answer.tiseq))
  end
end

-- What the segment shows alone, less what the handshake explains better.
local function keep_alone(found, segment, connection, alone, event)
  local syn = flag(segment.flags, SYN) and not flag(segment.flags, ACK)
  for _, one in ipairs(alone) do
    if syn and MALFORMED[one.rule] then
      connection.malformed = true
    end
    local echoed = event == "ANSWER_ECHO" and one.rule == "OPT-07"
    local repeated = (event == "COPY" or event == "CROSSING_COPY" or event == "STRAY") and one.rule == "EST-11"
    if not echoed and not repeated then
      if one.rule == "OPT-01" and connection.handshake.offer then
        one.severity = definition.rules["OPT-01"].severity -- the connection speaks our option
      end
      found[#found + 1] = one
    end
  end
end

local function beside_flows(segment, connection, sender, event, before)
  local found, handshake = nil, connection.handshake
  if (event == "SYN_NEW" or event == "SYN_RESUME") and before == "idle" and handshake.offer then
    connection.syn_time = segment.time
    found = ti.offered(segment, connection, handshake.offer)
  elseif event == "ANSWER_RIGHT" and handshake.state ~= before then
    found = ti.answered(segment, connection)
  elseif handshake.state == "confirmed" and before ~= "confirmed" and before ~= "asked-again" then
    found = ti.confirmed(segment, connection)
  end
  if not flag(segment.flags, SYN) and connection.flow then
    for _, one in ipairs(ti.carried(segment, sender)) do
      found = found or {}
      found[#found + 1] = one
    end
  end
  return found or {}
end

-- CTL-03 and LEG-08: what must not follow where the option was not understood.
local function after_fallback(found, segment, connection, sender, before)
  local handshake = connection.handshake
  if handshake.offer and handshake.offer.variant == "flow-c" and handshake.state == "legacy" and segment.payload > 0
    and sender.forward then
    add(found, "CTL-03")
  end
  if connection.malformed and flag(segment.flags, RST) and not sender.forward and before == "plain" then
    add(found, "LEG-08")
  end
end

local FALLBACKS = {
  declined = "no-option-in-synack", misanswered = "wrong-option-in-synack", echoed = "echo",
  crossed = "simultaneous-open", resuming = "refused", plain = "no-option-in-syn",
}

local function fallback_reason(before, event)
  if event == "RESET" then
    return "reset"
  end
  if before == "answered" or before == "resume-answered" then
    return event == "CONFIRM_WRONG" and "wrong-option-in-ack" or "ack-without-option"
  end
  return FALLBACKS[before]
end

-- The verdict on a connection as far as it goes, and the reason where there is one.
function ti.verdict(connection)
  local handshake = connection.handshake
  local state = handshake.state
  if (state == "confirmed" or state == "asked-again" or state == "settled") and handshake.syn then
    return ti.resumes(handshake) and "resumed" or "established", ""
  elseif state == "unconfirmed" then
    return "unconfirmed", "third-ack-lost"
  elseif state == "failed" or state == "refused" or state == "unproven" then
    return "resume-failed", connection.reason
  elseif state == "legacy" and handshake.syn and handshake.answered then
    return "legacy", connection.malformed and "malformed" or connection.reason
  elseif state == "closed" then
    return "incomplete", "reset"
  elseif not handshake.syn then
    return "incomplete", "no-syn"
  end
  return "incomplete", handshake.answered and "no-ack" or "no-synack"
end

local PHASES = {
  SYN_NEW = "SYN of a new flow", SYN_RESUME = "resume SYN", PEER_SYN = "crossing SYN",
  ANSWER_ECHO = "echo", ANSWER_UNASKED = "SYN-ACK not asked for", COPY = "repeated confirmation", STRAY = "stray",
}

-- What a segment with the option is to the handshake, in words.
local function phase(segment, connection, event)
  local resumed = ti.resumes(connection.handshake)
  if not event or event == "RESET" then
    return "stray"
  elseif PHASES[event] then
    return PHASES[event]
  elseif string.sub(event, 1, 3) == "SYN" then
    return resumed and "resume SYN" or "SYN of a new flow"
  elseif string.sub(event, 1, 6) == "ANSWER" then
    return resumed and "resume SYN-ACK" or "SYN-ACK"
  end
  return resumed and "resume confirmation" or "confirmation"
end

-- Judges a segment; returns what to show of it: findings, phase, the option that counts.
function ti.judge(segment, sender)
  local connection, options = sender.connection, segment.options
  local flows = ti.flows_in(options)
  local alone = ti.findings_alone(segment, options, flows)
  local counted = ti.counted(flows)
  local handshake = connection.handshake
  local before = handshake.state
  local una = unacknowledged(connection)
  local event, rule, differences = ti.observe_handshake(handshake, segment, counted, sender.forward)
  if handshake.state ~= before and event then
    connection.reason = fallback_reason(before, event) or connection.reason
  end
  local found = {}
  keep_alone(found, segment, connection, alone, event)
  handshake_findings(found, segment, connection, before, event, rule, differences, una)
  after_fallback(found, segment, connection, sender, before)
  for _, one in ipairs(beside_flows(segment, connection, sender, event, before)) do
    found[#found + 1] = one
  end
  for _, one in ipairs(found) do
    connection.findings[#connection.findings + 1] = one
  end
  local shown = #flows > 0 and (counted and phase(segment, connection, event) or "ignored") or nil
  return { findings = found, phase = shown, option = counted or (flows[1] and flows[1].flow) }
end
