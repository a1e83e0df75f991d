-- The handshake as an observer sees it: what each segment is to it, and which rule it breaks. The twin of
-- tioption/handshake/handshake.py; the table of states itself is generated.

local hex24, hex48, difference48, difference32 = ti.hex24, ti.hex48, ti.difference48, ti.difference32
local FIN, SYN, RST, ACK = 1, 2, 4, 16
local POW32 = 4294967296
local flag, same = ti.flag, ti.same_option

function ti.new_handshake()
  return { state = "idle" }
end

local function resumes(handshake)
  return handshake.offer ~= nil and handshake.offer.second ~= 0
end
ti.resumes = resumes

local function differ(found, rule, field, expected, value)
  found[#found + 1] = { rule = rule, field = field, expected = expected, found = value }
end

-- Whether a host can go on with these differences: none, or a resume that begins below what the peer has (MAP-05).
local function passable(differences)
  local one = differences[1]
  if #differences ~= 1 or one.rule ~= "MAP-04" or one.field ~= "tiseq" then
    return #differences == 0
  end
  return difference48(one.value, one.wanted) < 0
end

local function changes(rule, before, after)
  local found = {}
  if not before or not after then
    differ(found, rule, "option", before and "one" or "none", after and "one" or "none")
    return found
  end
  for _, field in ipairs({ "tifid", "tiseq", "tiack" }) do
    if before[field] ~= after[field] then
      differ(found, rule, field, hex48(before[field]), hex48(after[field]))
    end
  end
  if #found == 0 then
    differ(found, rule, "variant", before.variant, after.variant)
  end
  return found
end

local function differ_position(found, rule, field, wanted, value)
  differ(found, rule, field, hex48(wanted), hex48(value))
  found[#found].wanted, found[#found].value = wanted, value
end

local function answer_differences(handshake, answer)
  local found, offer = {}, handshake.offer
  if resumes(handshake) then
    if answer.tifid ~= offer.tifid then
      differ(found, "RES-01", "tifid", hex48(offer.tifid), hex48(answer.tifid))
    end
    if answer.tiseq ~= offer.tiack then
      differ_position(found, "MAP-04", "tiseq", offer.tiack, answer.tiseq)
    end
    return found
  end
  if answer.first ~= offer.first then
    differ(found, "EST-04", "tifid.first", hex24(offer.first), hex24(answer.first))
  end
  if answer.second == 0 then
    differ(found, "EST-04", "tifid.second", "a half that is not zero", "000000")
  end
  if answer.tiack ~= offer.tiseq then
    differ(found, "EST-05", "tiack", hex48(offer.tiseq), hex48(answer.tiack))
  end
  return found
end

local function confirmation_differences(handshake, option)
  local found, answer = {}, handshake.answer
  if not answer then
    return found
  end
  local values, identity = "EST-07", "EST-07"
  if resumes(handshake) then
    values, identity = "MAP-04", "RES-01"
  end
  if option.tifid ~= answer.tifid or option.variant ~= answer.variant then
    differ(found, identity, "tifid", hex48(answer.tifid), hex48(option.tifid))
  end
  if option.tiseq ~= answer.tiack then
    differ_position(found, values, "tiseq", answer.tiack, option.tiseq)
  end
  if option.tiack ~= answer.tiseq then
    differ_position(found, values, "tiack", answer.tiseq, option.tiack)
  end
  return found
end

local function classify_syn(handshake, segment, option, opener)
  local before = handshake.syn
  if not opener then
    return "PEER_SYN"
  end
  if before and before.seq == segment.seq then
    if same(option, before.option) then
      return "SYN_SAME"
    end
    if not option then
      return "SYN_STRIPPED"
    end
    if not before.option and option.second == 0 then
      return "SYN_OVERTAKEN"
    end
    return "SYN_CHANGED", changes("EST-09", before.option, option)
  end
  if not option then
    return "SYN_PLAIN"
  end
  return option.second == 0 and "SYN_NEW" or "SYN_RESUME"
end

local function classify_answer(handshake, segment, option)
  local before = handshake.answered
  if before and before.seq == segment.seq then
    if same(option, before.option) then
      return "ANSWER_SAME"
    end
    return "ANSWER_CHANGED", changes(resumes(handshake) and "RES-13" or "EST-09", before.option, option)
  end
  if not option then
    return "ANSWER_PLAIN"
  end
  if not handshake.syn then
    return "ANSWER_RIGHT"
  end
  if not handshake.offer or option.variant ~= handshake.offer.variant then
    return "ANSWER_UNASKED"
  end
  if same(option, handshake.offer) then
    return "ANSWER_ECHO"
  end
  local differences = answer_differences(handshake, option)
  return passable(differences) and "ANSWER_RIGHT" or "ANSWER_WRONG", differences
end

-- An option after the confirmation: a copy, which may have crossed what the answerer said meanwhile.
local function classify_copy(handshake, segment, option)
  local known, answer = handshake.confirmation, handshake.answer
  if not known and answer then
    known = { variant = answer.variant, tifid = answer.tifid, tiseq = answer.tiack, tiack = answer.tiseq }
  end
  if not same(option, known) then
    return "STRAY"
  end
  local first = handshake.answered and (handshake.answered.seq + 1) % POW32
  return handshake.state == "settled" and segment.ack == first and "CROSSING_COPY" or "COPY"
end

local function classify_opener(handshake, segment, option)
  local state, answered, syn = handshake.state, handshake.answered, handshake.syn
  if answered and flag(segment.flags, ACK) and difference32(segment.ack, (answered.seq + 1) % POW32) < 0 then
    return nil -- a late copy from an earlier connection: its receiver refuses it
  end
  if state == "unconfirmed" and not option then
    return nil
  end
  if state == "confirmed" or state == "settled" or state == "legacy" then
    if not option then
      return nil
    end
    return classify_copy(handshake, segment, option)
  end
  if not option then
    return (segment.payload > 0 or flag(segment.flags, FIN)) and "DATA_PLAIN" or "CONFIRM_PLAIN"
  end
  if syn and not syn.option and not answered then
    return "STRAY" -- nobody knows what the SYN-ACK had
  end
  local differences = confirmation_differences(handshake, option)
  return passable(differences) and "CONFIRM_RIGHT" or "CONFIRM_WRONG", differences
end

local function classify(handshake, segment, option, opener)
  local flags = segment.flags
  if flag(flags, RST) then
    return "RESET"
  end
  if flag(flags, SYN) then
    if flag(flags, ACK) then
      return classify_answer(handshake, segment, option)
    end
    return classify_syn(handshake, segment, option, opener)
  end
  if opener then
    return classify_opener(handshake, segment, option)
  end
  if option then
    return "STRAY"
  end
  return handshake.answered and "PEER_TALKS" or nil
end

local function keep(handshake, segment, option, opener, event)
  if event == "SYN_NEW" or event == "SYN_RESUME" or event == "SYN_PLAIN" then
    if not handshake.syn then
      handshake.syn = { seq = segment.seq, option = option }
      handshake.offer = option
    end
  elseif flag(segment.flags, SYN) and flag(segment.flags, ACK) and not opener then
    if not handshake.answered then
      handshake.answered = { seq = segment.seq, option = option }
      handshake.answer = option
    end
  elseif event == "CONFIRM_RIGHT" and not handshake.confirmation then
    handshake.confirmation = option
  end
end

-- Takes in the next segment with the option that counts: what it was (nil: nothing), the rule it breaks by coming now
-- (nil: none), and the values that are not those the rules ask for.
function ti.observe_handshake(handshake, segment, option, opener)
  local event, differences = classify(handshake, segment, option, opener)
  if not event then
    return nil, nil, {}
  end
  local row = definition.table[handshake.state]
  local step = row and row[event]
  keep(handshake, segment, option, opener, event)
  if not step then
    return event, nil, differences or {}
  end
  handshake.state = step[1]
  return event, step[2], differences or {}
end
