-- Generated from tioption/layout.py, tioption/rules, tioption/handshake/table.py and tioption/dissect by
-- `python -m tioption.generate`. Do not edit.
--
-- TI-flow, the transport-independent flow TCP option, in Wireshark 3.4 and later (Lua 5.2 and 5.4).

-- Installed and given with -X, it would be loaded twice: the one that is there does what the other is asked for.
if rawget(_G, "tiflow_version") then
  if rawget(_G, "tiflow_run") then
    tiflow_run({ ... })
  end
  return
end
tiflow_version = "0.1.0"
set_plugin_info({
  version = tiflow_version,
  description = "The transport-independent flow TCP option",
  license = "BSD-2-Clause",
})

-- What the files below share.
local ti = { arguments = { ... } }
-- Whether the frame being dissected has an option on one of the kinds: the option's dissector tells the analysis.
local carrier = false

local definition = {
  length = 20,
  kinds = { d = 253, c = 254 },
  experiment_kinds = { [253] = true, [254] = true },
  -- Where each field begins in the option's octets, counted from 1 as Lua does.
  at = {
    ["kind"] = 1,
    ["length"] = 2,
    ["tifid"] = 3,
    ["tifid.first"] = 3,
    ["tifid.second"] = 6,
    ["tiseq"] = 9,
    ["tiack"] = 15,
  },
  fields = {
    { name = "kind", offset = 0, octets = 1,
      base = "DEC", title = "Kind", doc = "Flow-D or Flow-C: they differ in kind alone (OPT-02, CTL-01)" },
    { name = "length", offset = 1, octets = 1,
      base = "DEC", title = "Length", doc = "octets of the whole option, kind and length included: always 20 (OPT-01)" },
    { name = "tifid", offset = 2, octets = 6,
      base = "HEX", title = "TIFID", doc = "transport-independent flow identifier, opaque (§III)" },
    { name = "tifid.first", offset = 2, octets = 3,
      base = "HEX", title = "First half", doc = "the initiator's half, random and never zero (EST-01, OPT-06)" },
    { name = "tifid.second", offset = 5, octets = 3,
      base = "HEX", title = "Second half", doc = "the responder's half, zero only in the SYN of a new flow (EST-04, OPT-07)" },
    { name = "tiseq", offset = 8, octets = 6,
      base = "HEX", title = "TISeq", doc = "position of the next byte its sender will send, mod 2^48 (§III, MAP-01)" },
    { name = "tiack", offset = 14, octets = 6,
      base = "HEX", title = "TIAck", doc = "position of the next byte its sender expects; zero in the SYN of a new flow (§III, MAP-02)" },
  },
  derived = {
    { name = "variant", type = "string", base = "NONE",
      title = "Variant", doc = "flow-d or flow-c" },
    { name = "tifid.bytes", type = "bytes", base = "NONE",
      title = "TIFID as octets", doc = "for slices and `contains`; hidden in the tree" },
    { name = "experiment", type = "string", base = "NONE",
      title = "Experiment", doc = "whose experiment an option on these kinds is (RFC 6994)" },
    { name = "experiment.exid", type = "bytes", base = "NONE",
      title = "Experiment identifier", doc = "2 or 4 octets (RFC 6994)" },
    { name = "experiment.data", type = "bytes", base = "NONE",
      title = "Data", doc = "the octets of a foreign option after its identifier" },
    { name = "phase", type = "string", base = "NONE",
      title = "Phase", doc = "what the segment with the option is to its handshake" },
    { name = "rule", type = "string", base = "NONE",
      title = "Rule", doc = "each rule the segment breaks or is noted for" },
    { name = "severity", type = "string", base = "NONE",
      title = "Severity", doc = "of each rule: violation, warning or note" },
    { name = "flow", type = "uint32", base = "DEC",
      title = "Flow", doc = "number of the flow, from 0, on all its segments and transports" },
    { name = "transport", type = "uint32", base = "DEC",
      title = "Transport", doc = "which transport of its flow the connection is, from 1" },
    { name = "transport.previous", type = "frame", base = "NONE",
      title = "Previous transport", doc = "first frame of the transport before" },
    { name = "transport.next", type = "frame", base = "NONE",
      title = "Next transport", doc = "first frame of the transport that takes over" },
    { name = "position", type = "uint64", base = "HEX",
      title = "Position", doc = "position of the segment's first octet, mod 2^48 (MAP-01, MAP-03)" },
    { name = "position.relative", type = "int64", base = "DEC",
      title = "Position, relative", doc = "octets since the stream's initial position" },
    { name = "ack_position", type = "uint64", base = "HEX",
      title = "Acknowledged position", doc = "position the segment acknowledges, mod 2^48" },
    { name = "ack_position.relative", type = "int64", base = "DEC",
      title = "Acknowledged position, relative", doc = "octets since the initial position" },
    { name = "reconnect_time", type = "time", base = "NONE",
      title = "Time to reconnect", doc = "from the resume SYN to the segment that confirms it" },
    { name = "outage", type = "time", base = "NONE",
      title = "Outage", doc = "from the last segment of the transport before to the resume SYN (RES-10)" },
  },
  experiments = {
    { name = "tarr", title = "TCP ACK Rate Request", exid = "\000\172",
      kinds = { [253] = true, [254] = true } },
    { name = "host-id", title = "Host Identifier", exid = "\003\072",
      kinds = { [253] = true, [254] = true } },
    { name = "asc", title = "Autonomous System Compensation", exid = "\010\013",
      kinds = { [253] = true, [254] = true } },
    { name = "capability", title = "Capability Option", exid = "\012\160",
      kinds = { [253] = true, [254] = true } },
    { name = "edo", title = "Extended Data Offset", exid = "\014\208",
      kinds = { [253] = true, [254] = true }, lengths = { [4] = true, [6] = true, [8] = true } },
    { name = "eno", title = "Encryption Negotiation (tcpcrypt)", exid = "\069\078",
      kinds = { [253] = true, [254] = true } },
    { name = "sno", title = "Service Number", exid = "\083\035",
      kinds = { [253] = true, [254] = true } },
    { name = "ts-interval", title = "Timestamp Interval", exid = "\117\236",
      kinds = { [253] = true, [254] = true } },
    { name = "accecn0", title = "Accurate ECN, order 0", exid = "\172\192",
      kinds = { [253] = true, [254] = true }, lengths = { [4] = true, [7] = true, [10] = true, [13] = true } },
    { name = "accecn1", title = "Accurate ECN, order 1", exid = "\172\193",
      kinds = { [253] = true, [254] = true }, lengths = { [4] = true, [7] = true, [10] = true, [13] = true } },
    { name = "accecn", title = "Accurate ECN", exid = "\172\206",
      kinds = { [253] = true, [254] = true }, lengths = { [4] = true, [7] = true, [10] = true, [13] = true } },
    { name = "deepflow", title = "DeepFlow trace identifier", exid = "\222\234",
      kinds = { [253] = true }, lengths = { [12] = true } },
    { name = "smc-r", title = "Shared Memory Communications", exid = "\226\212\195\217",
      kinds = { [253] = true, [254] = true }, lengths = { [6] = true } },
    { name = "bpf-test", title = "Linux BPF header-option self-test", exid = "\235\159",
      kinds = { [254] = true } },
    { name = "tfo", title = "TCP Fast Open", exid = "\249\137",
      kinds = { [253] = true, [254] = true }, lengths = { [4] = true, [8] = true, [10] = true, [12] = true, [14] = true, [16] = true, [18] = true, [20] = true } },
    { name = "low-latency", title = "Low Latency", exid = "\249\144",
      kinds = { [253] = true, [254] = true } },
  },
  rules = {
    ["OPT-01"] = { severity = "violation",
      text = "A flow option is 20 octets, big-endian: kind, length, then 6 octets each of TIFID, TISeq and TIAck." },
    ["OPT-03"] = { severity = "note",
      text = "The option has no experiment identifier; with one, at 22 or 24 octets, it would be another format." },
    ["OPT-04"] = { severity = "violation",
      text = "A sender puts a single flow option into a segment, and a receiver that meets a kind twice ignores every copy." },
    ["OPT-05"] = { severity = "violation",
      text = "A segment never carries Flow-D and Flow-C together, and a receiver that meets both ignores both." },
    ["OPT-06"] = { severity = "violation",
      text = "No flow option has a TIFID whose first half is zero." },
    ["OPT-07"] = { severity = "violation",
      text = "Only the SYN that opens a flow leaves the second half of the TIFID zero." },
    ["OPT-08"] = { severity = "note",
      text = "Senders place the option at a multiple of 4 octets into the option area; receivers take it at any offset." },
    ["OPT-09"] = { severity = "violation",
      text = "Only handshake segments carry the option: the SYN, the SYN-ACK, and the ACK that answers it." },
    ["OPT-10"] = { severity = "violation",
      text = "Senders leave the option off RST and FIN segments, and receivers ignore it there." },
    ["OPT-11"] = { severity = "warning",
      text = "A sender leaves the option out where it does not fit, gives up no MSS for it, and never combines it with a Fast Open cookie, MD5 or TCP-AO." },
    ["OPT-12"] = { severity = "warning",
      text = "On kinds 253 and 254 a sender draws no TIFID whose first octets are those of a known experiment identifier (F989, E2D4, ACCE and others)." },
    ["EST-01"] = { severity = "violation",
      text = "The SYN of a new flow has a random first half that is unique on its host, a second half of zero, a random TISeq, and TIAck 0." },
    ["EST-02"] = { severity = "warning",
      text = "Each host draws an initial TISeq that is not 0 and that nobody else can guess." },
    ["EST-03"] = { severity = "violation",
      text = "A responder puts the option into its SYN-ACK only where the SYN brought it, and with that kind." },
    ["EST-04"] = { severity = "violation",
      text = "The responder returns the first half as it came and adds a second half that is random, unique on its host and not zero." },
    ["EST-05"] = { severity = "violation",
      text = "The TIAck of the SYN-ACK is the TISeq of the SYN, which takes no position itself, and its TISeq is random." },
    ["EST-06"] = { severity = "violation",
      text = "The initiator holds the SYN-ACK against EST-04 and EST-05 and treats one that fails like one without the option (LEG-01)." },
    ["EST-07"] = { severity = "violation",
      text = "The third ACK has the complete TIFID, the TISeq of the SYN, and as TIAck the TISeq of the SYN-ACK." },
    ["EST-09"] = { severity = "violation",
      text = "A SYN or SYN-ACK that is sent again has the ISN and the option of the first." },
    ["EST-10"] = { severity = "violation",
      text = "An initiator that receives the SYN-ACK again sends its third ACK again, with the same option." },
    ["EST-11"] = { severity = "note",
      text = "Initiators avoid payload in the third ACK, though they may send it." },
    ["EST-12"] = { severity = "note",
      text = "A responder that receives data without the option where the third ACK was due holds the flow unconfirmed until a valid resume SYN, which only a host that saw the second half can send." },
    ["EST-13"] = { severity = "note",
      text = "With the extension confirm_repeat an initiator goes on sending the option until the responder's first segment without SYN." },
    ["EST-14"] = { severity = "violation",
      text = "When the SYNs of two new flows cross, both hosts leave the option out of their SYN-ACKs and go on in plain TCP." },
    ["EST-15"] = { severity = "violation",
      text = "Hosts send no payload in a SYN or SYN-ACK that has the option." },
    ["LEG-01"] = { severity = "violation",
      text = "An initiator of a new flow that receives a SYN-ACK without the option sends none in its ACK and goes on in plain TCP." },
    ["LEG-03"] = { severity = "note",
      text = "A responder that receives a pure third ACK without the option deletes the flow's state and goes on in plain TCP." },
    ["LEG-04"] = { severity = "note",
      text = "An initiator may leave the option out of the SYN of a new flow after repeated losses (2 unless set otherwise), keeps its ISN, and remembers the result for the path." },
    ["LEG-06"] = { severity = "violation",
      text = "Every copy of a resume SYN has the option." },
    ["LEG-07"] = { severity = "note",
      text = "An initiator takes a SYN-ACK whose option is that of its own SYN for an echo, not for support." },
    ["LEG-08"] = { severity = "warning",
      text = "A host never refuses plain TCP because an option is malformed or unknown to it." },
    ["MAP-01"] = { severity = "note",
      text = "Hosts count positions from the initial TISeq, one for each byte of the stream and none for SYN or FIN." },
    ["MAP-02"] = { severity = "warning",
      text = "A host's TIAck is the initial TISeq of its peer plus the bytes that have arrived without a gap." },
    ["MAP-04"] = { severity = "violation",
      text = "On a resume each host goes on where the other's TIAck points: the TISeq of the SYN-ACK is the TIAck of the SYN, that of the third ACK is the TIAck of the SYN-ACK, whose TISeq the third ACK acknowledges." },
    ["MAP-05"] = { severity = "violation",
      text = "A receiver trims the overlap where its peer starts below the position expected, and sends RST where the peer starts above it." },
    ["MAP-07"] = { severity = "warning",
      text = "Hosts count across TCP's wraps at 2^32 in 64 bits and compare positions mod 2^48 over half the range, 2^47, so that a resume may stand at TISeq 0." },
    ["RES-01"] = { severity = "violation",
      text = "A SYN whose second half is not zero resumes a flow, and the TIFID stays as it is, halves in order, whichever host resumes." },
    ["RES-02"] = { severity = "warning",
      text = "A resume SYN says where its sender stopped (TISeq) and what it expects next (TIAck), and responders put up with a TISeq at the oldest unacknowledged byte." },
    ["RES-03"] = { severity = "note",
      text = "A responder finds the flow by variant and TIFID before it looks for the port, so that addresses and ports may change." },
    ["RES-04"] = { severity = "violation",
      text = "A responder accepts a resume only if the TIAck lies between its oldest unacknowledged and its next position, and the TISeq is no farther from the position it expects than the largest window it advertised, 2^30 at most." },
    ["RES-05"] = { severity = "warning",
      text = "A responder answers a resume of a flow that it does not know, that has expired or that fails RES-04 with RST, at a limited rate, and keeps no state for it." },
    ["RES-06"] = { severity = "violation",
      text = "An initiator whose resume is answered without the option, with an echo or with wrong values sends RST and no data, and reports the failure." },
    ["RES-07"] = { severity = "warning",
      text = "A responder switches transports only on a valid third ACK, or where that is lost, on data that acknowledges its SYN-ACK." },
    ["RES-08"] = { severity = "violation",
      text = "A responder answers a pure third ACK of a resume that has no option, or a wrong one, with RST and stays on the old transport." },
    ["RES-09"] = { severity = "warning",
      text = "An initiator stops sending on the old transport before it computes the positions of a resume, and may take it up again should the resume fail." },
    ["RES-10"] = { severity = "note",
      text = "Hosts treat a resume as normal while the old transport still lives at the responder." },
    ["RES-11"] = { severity = "warning",
      text = "After the switch hosts drop the old transport in silence, without FIN, and with RST only where addresses or ports differ." },
    ["RES-12"] = { severity = "warning",
      text = "A resume never takes over the source port, the ISN or the timestamps of the transport before it." },
    ["RES-13"] = { severity = "violation",
      text = "A SYN-ACK that is sent again has the TIAck of the first, even where more data has arrived since." },
    ["RES-14"] = { severity = "violation",
      text = "An initiator sends RST and reports an error where the responder's TIAck is below its oldest unacknowledged position or above its next one, and never skips bytes." },
    ["RES-15"] = { severity = "violation",
      text = "A host that had closed its stream sends again what is missing and then its FIN, its peer absorbs the repeat, and a TIAck one past the end is accepted after the FIN." },
    ["RES-16"] = { severity = "warning",
      text = "A responder holds no more than 2 pending resumes for a flow, takes the first whose third ACK is valid, and resets the rest." },
    ["RES-18"] = { severity = "note",
      text = "Unless configured otherwise only the host that opened a flow resumes it, and its attempt wins where two cross." },
    ["RES-21"] = { severity = "note",
      text = "A host keeps a flow without transport for 300 seconds, never for less than 100, and then reports ETIMEDOUT." },
    ["RES-22"] = { severity = "warning",
      text = "A flow is over once each host has closed its stream and seen that acknowledged, and neither issues its half again for 2 MSL." },
    ["RES-23"] = { severity = "violation",
      text = "No initiator puts payload into the SYN of a resume." },
    ["CTL-02"] = { severity = "violation",
      text = "A resume has the variant of its flow, and the same TIFID on the other kind names another flow." },
    ["CTL-03"] = { severity = "violation",
      text = "A host that finds no support for its Flow-C flow closes the connection before any data, so that control bytes never reach an application that does not expect them." },
    ["CTL-04"] = { severity = "note",
      text = "Nobody may read a meaning into equal TIFIDs of a Flow-C and a Flow-D flow, nor expect a certain payload of Flow-C." },
    ["SEC-01"] = { severity = "warning",
      text = "Hosts draw halves and initial TISeqs from a cryptographic random generator, or derive them as EST-16 says." },
    ["SEC-02"] = { severity = "violation",
      text = "A host draws its half again where a live or quarantined flow has it, for random halves of 24 bits collide with 50 % at 4,823 flows." },
    ["SEC-04"] = { severity = "warning",
      text = "A host limits its dormant flows, the bytes it retains, its pending resumes, and the resume SYNs from one source." },
    ["SEC-05"] = { severity = "warning",
      text = "Tools tell their users that the TIFID travels in the clear, that anyone who saw a flow begin can take it over, and that TLS or SSH belongs above it." },
  },
  experts = {
    { rule = "OPT-01", severity = "violation", name = "tiflow.expert.opt-01",
      text = "OPT-01: A flow option is 20 octets, big-endian: kind, length, then 6 octets each of TIFID, TISeq and TIAck." },
    { rule = "OPT-01", severity = "note", name = "tiflow.expert.opt-01.note",
      text = "OPT-01: A flow option is 20 octets, big-endian: kind, length, then 6 octets each of TIFID, TISeq and TIAck." },
    { rule = "OPT-03", severity = "note", name = "tiflow.expert.opt-03",
      text = "OPT-03: The option has no experiment identifier; with one, at 22 or 24 octets, it would be another format." },
    { rule = "OPT-04", severity = "violation", name = "tiflow.expert.opt-04",
      text = "OPT-04: A sender puts a single flow option into a segment, and a receiver that meets a kind twice ignores every copy." },
    { rule = "OPT-05", severity = "violation", name = "tiflow.expert.opt-05",
      text = "OPT-05: A segment never carries Flow-D and Flow-C together, and a receiver that meets both ignores both." },
    { rule = "OPT-06", severity = "violation", name = "tiflow.expert.opt-06",
      text = "OPT-06: No flow option has a TIFID whose first half is zero." },
    { rule = "OPT-07", severity = "violation", name = "tiflow.expert.opt-07",
      text = "OPT-07: Only the SYN that opens a flow leaves the second half of the TIFID zero." },
    { rule = "OPT-08", severity = "note", name = "tiflow.expert.opt-08",
      text = "OPT-08: Senders place the option at a multiple of 4 octets into the option area; receivers take it at any offset." },
    { rule = "OPT-09", severity = "violation", name = "tiflow.expert.opt-09",
      text = "OPT-09: Only handshake segments carry the option: the SYN, the SYN-ACK, and the ACK that answers it." },
    { rule = "OPT-10", severity = "violation", name = "tiflow.expert.opt-10",
      text = "OPT-10: Senders leave the option off RST and FIN segments, and receivers ignore it there." },
    { rule = "OPT-11", severity = "warning", name = "tiflow.expert.opt-11",
      text = "OPT-11: A sender leaves the option out where it does not fit, gives up no MSS for it, and never combines it with a Fast Open cookie, MD5 or TCP-AO." },
    { rule = "OPT-12", severity = "warning", name = "tiflow.expert.opt-12",
      text = "OPT-12: On kinds 253 and 254 a sender draws no TIFID whose first octets are those of a known experiment identifier (F989, E2D4, ACCE and others)." },
    { rule = "EST-01", severity = "violation", name = "tiflow.expert.est-01",
      text = "EST-01: The SYN of a new flow has a random first half that is unique on its host, a second half of zero, a random TISeq, and TIAck 0." },
    { rule = "EST-02", severity = "warning", name = "tiflow.expert.est-02",
      text = "EST-02: Each host draws an initial TISeq that is not 0 and that nobody else can guess." },
    { rule = "EST-03", severity = "violation", name = "tiflow.expert.est-03",
      text = "EST-03: A responder puts the option into its SYN-ACK only where the SYN brought it, and with that kind." },
    { rule = "EST-04", severity = "violation", name = "tiflow.expert.est-04",
      text = "EST-04: The responder returns the first half as it came and adds a second half that is random, unique on its host and not zero." },
    { rule = "EST-05", severity = "violation", name = "tiflow.expert.est-05",
      text = "EST-05: The TIAck of the SYN-ACK is the TISeq of the SYN, which takes no position itself, and its TISeq is random." },
    { rule = "EST-06", severity = "violation", name = "tiflow.expert.est-06",
      text = "EST-06: The initiator holds the SYN-ACK against EST-04 and EST-05 and treats one that fails like one without the option (LEG-01)." },
    { rule = "EST-07", severity = "violation", name = "tiflow.expert.est-07",
      text = "EST-07: The third ACK has the complete TIFID, the TISeq of the SYN, and as TIAck the TISeq of the SYN-ACK." },
    { rule = "EST-09", severity = "violation", name = "tiflow.expert.est-09",
      text = "EST-09: A SYN or SYN-ACK that is sent again has the ISN and the option of the first." },
    { rule = "EST-10", severity = "violation", name = "tiflow.expert.est-10",
      text = "EST-10: An initiator that receives the SYN-ACK again sends its third ACK again, with the same option." },
    { rule = "EST-10", severity = "warning", name = "tiflow.expert.est-10.warning",
      text = "EST-10: An initiator that receives the SYN-ACK again sends its third ACK again, with the same option." },
    { rule = "EST-11", severity = "note", name = "tiflow.expert.est-11",
      text = "EST-11: Initiators avoid payload in the third ACK, though they may send it." },
    { rule = "EST-12", severity = "note", name = "tiflow.expert.est-12",
      text = "EST-12: A responder that receives data without the option where the third ACK was due holds the flow unconfirmed until a valid resume SYN, which only a host that saw the second half can send." },
    { rule = "EST-13", severity = "note", name = "tiflow.expert.est-13",
      text = "EST-13: With the extension confirm_repeat an initiator goes on sending the option until the responder's first segment without SYN." },
    { rule = "EST-14", severity = "violation", name = "tiflow.expert.est-14",
      text = "EST-14: When the SYNs of two new flows cross, both hosts leave the option out of their SYN-ACKs and go on in plain TCP." },
    { rule = "EST-15", severity = "violation", name = "tiflow.expert.est-15",
      text = "EST-15: Hosts send no payload in a SYN or SYN-ACK that has the option." },
    { rule = "LEG-01", severity = "violation", name = "tiflow.expert.leg-01",
      text = "LEG-01: An initiator of a new flow that receives a SYN-ACK without the option sends none in its ACK and goes on in plain TCP." },
    { rule = "LEG-03", severity = "note", name = "tiflow.expert.leg-03",
      text = "LEG-03: A responder that receives a pure third ACK without the option deletes the flow's state and goes on in plain TCP." },
    { rule = "LEG-04", severity = "note", name = "tiflow.expert.leg-04",
      text = "LEG-04: An initiator may leave the option out of the SYN of a new flow after repeated losses (2 unless set otherwise), keeps its ISN, and remembers the result for the path." },
    { rule = "LEG-06", severity = "violation", name = "tiflow.expert.leg-06",
      text = "LEG-06: Every copy of a resume SYN has the option." },
    { rule = "LEG-07", severity = "note", name = "tiflow.expert.leg-07",
      text = "LEG-07: An initiator takes a SYN-ACK whose option is that of its own SYN for an echo, not for support." },
    { rule = "LEG-07", severity = "violation", name = "tiflow.expert.leg-07.violation",
      text = "LEG-07: An initiator takes a SYN-ACK whose option is that of its own SYN for an echo, not for support." },
    { rule = "LEG-08", severity = "warning", name = "tiflow.expert.leg-08",
      text = "LEG-08: A host never refuses plain TCP because an option is malformed or unknown to it." },
    { rule = "MAP-01", severity = "note", name = "tiflow.expert.map-01",
      text = "MAP-01: Hosts count positions from the initial TISeq, one for each byte of the stream and none for SYN or FIN." },
    { rule = "MAP-02", severity = "warning", name = "tiflow.expert.map-02",
      text = "MAP-02: A host's TIAck is the initial TISeq of its peer plus the bytes that have arrived without a gap." },
    { rule = "MAP-02", severity = "note", name = "tiflow.expert.map-02.note",
      text = "MAP-02: A host's TIAck is the initial TISeq of its peer plus the bytes that have arrived without a gap." },
    { rule = "MAP-04", severity = "violation", name = "tiflow.expert.map-04",
      text = "MAP-04: On a resume each host goes on where the other's TIAck points: the TISeq of the SYN-ACK is the TIAck of the SYN, that of the third ACK is the TIAck of the SYN-ACK, whose TISeq the third ACK acknowledges." },
    { rule = "MAP-04", severity = "warning", name = "tiflow.expert.map-04.warning",
      text = "MAP-04: On a resume each host goes on where the other's TIAck points: the TISeq of the SYN-ACK is the TIAck of the SYN, that of the third ACK is the TIAck of the SYN-ACK, whose TISeq the third ACK acknowledges." },
    { rule = "MAP-05", severity = "violation", name = "tiflow.expert.map-05",
      text = "MAP-05: A receiver trims the overlap where its peer starts below the position expected, and sends RST where the peer starts above it." },
    { rule = "MAP-07", severity = "warning", name = "tiflow.expert.map-07",
      text = "MAP-07: Hosts count across TCP's wraps at 2^32 in 64 bits and compare positions mod 2^48 over half the range, 2^47, so that a resume may stand at TISeq 0." },
    { rule = "MAP-07", severity = "note", name = "tiflow.expert.map-07.note",
      text = "MAP-07: Hosts count across TCP's wraps at 2^32 in 64 bits and compare positions mod 2^48 over half the range, 2^47, so that a resume may stand at TISeq 0." },
    { rule = "RES-01", severity = "violation", name = "tiflow.expert.res-01",
      text = "RES-01: A SYN whose second half is not zero resumes a flow, and the TIFID stays as it is, halves in order, whichever host resumes." },
    { rule = "RES-02", severity = "warning", name = "tiflow.expert.res-02",
      text = "RES-02: A resume SYN says where its sender stopped (TISeq) and what it expects next (TIAck), and responders put up with a TISeq at the oldest unacknowledged byte." },
    { rule = "RES-02", severity = "note", name = "tiflow.expert.res-02.note",
      text = "RES-02: A resume SYN says where its sender stopped (TISeq) and what it expects next (TIAck), and responders put up with a TISeq at the oldest unacknowledged byte." },
    { rule = "RES-03", severity = "note", name = "tiflow.expert.res-03",
      text = "RES-03: A responder finds the flow by variant and TIFID before it looks for the port, so that addresses and ports may change." },
    { rule = "RES-04", severity = "violation", name = "tiflow.expert.res-04",
      text = "RES-04: A responder accepts a resume only if the TIAck lies between its oldest unacknowledged and its next position, and the TISeq is no farther from the position it expects than the largest window it advertised, 2^30 at most." },
    { rule = "RES-04", severity = "note", name = "tiflow.expert.res-04.note",
      text = "RES-04: A responder accepts a resume only if the TIAck lies between its oldest unacknowledged and its next position, and the TISeq is no farther from the position it expects than the largest window it advertised, 2^30 at most." },
    { rule = "RES-05", severity = "warning", name = "tiflow.expert.res-05",
      text = "RES-05: A responder answers a resume of a flow that it does not know, that has expired or that fails RES-04 with RST, at a limited rate, and keeps no state for it." },
    { rule = "RES-06", severity = "violation", name = "tiflow.expert.res-06",
      text = "RES-06: An initiator whose resume is answered without the option, with an echo or with wrong values sends RST and no data, and reports the failure." },
    { rule = "RES-07", severity = "warning", name = "tiflow.expert.res-07",
      text = "RES-07: A responder switches transports only on a valid third ACK, or where that is lost, on data that acknowledges its SYN-ACK." },
    { rule = "RES-08", severity = "violation", name = "tiflow.expert.res-08",
      text = "RES-08: A responder answers a pure third ACK of a resume that has no option, or a wrong one, with RST and stays on the old transport." },
    { rule = "RES-09", severity = "warning", name = "tiflow.expert.res-09",
      text = "RES-09: An initiator stops sending on the old transport before it computes the positions of a resume, and may take it up again should the resume fail." },
    { rule = "RES-10", severity = "note", name = "tiflow.expert.res-10",
      text = "RES-10: Hosts treat a resume as normal while the old transport still lives at the responder." },
    { rule = "RES-11", severity = "warning", name = "tiflow.expert.res-11",
      text = "RES-11: After the switch hosts drop the old transport in silence, without FIN, and with RST only where addresses or ports differ." },
    { rule = "RES-12", severity = "warning", name = "tiflow.expert.res-12",
      text = "RES-12: A resume never takes over the source port, the ISN or the timestamps of the transport before it." },
    { rule = "RES-13", severity = "violation", name = "tiflow.expert.res-13",
      text = "RES-13: A SYN-ACK that is sent again has the TIAck of the first, even where more data has arrived since." },
    { rule = "RES-14", severity = "violation", name = "tiflow.expert.res-14",
      text = "RES-14: An initiator sends RST and reports an error where the responder's TIAck is below its oldest unacknowledged position or above its next one, and never skips bytes." },
    { rule = "RES-14", severity = "note", name = "tiflow.expert.res-14.note",
      text = "RES-14: An initiator sends RST and reports an error where the responder's TIAck is below its oldest unacknowledged position or above its next one, and never skips bytes." },
    { rule = "RES-15", severity = "violation", name = "tiflow.expert.res-15",
      text = "RES-15: A host that had closed its stream sends again what is missing and then its FIN, its peer absorbs the repeat, and a TIAck one past the end is accepted after the FIN." },
    { rule = "RES-15", severity = "note", name = "tiflow.expert.res-15.note",
      text = "RES-15: A host that had closed its stream sends again what is missing and then its FIN, its peer absorbs the repeat, and a TIAck one past the end is accepted after the FIN." },
    { rule = "RES-16", severity = "warning", name = "tiflow.expert.res-16",
      text = "RES-16: A responder holds no more than 2 pending resumes for a flow, takes the first whose third ACK is valid, and resets the rest." },
    { rule = "RES-18", severity = "note", name = "tiflow.expert.res-18",
      text = "RES-18: Unless configured otherwise only the host that opened a flow resumes it, and its attempt wins where two cross." },
    { rule = "RES-21", severity = "note", name = "tiflow.expert.res-21",
      text = "RES-21: A host keeps a flow without transport for 300 seconds, never for less than 100, and then reports ETIMEDOUT." },
    { rule = "RES-22", severity = "warning", name = "tiflow.expert.res-22",
      text = "RES-22: A flow is over once each host has closed its stream and seen that acknowledged, and neither issues its half again for 2 MSL." },
    { rule = "RES-23", severity = "violation", name = "tiflow.expert.res-23",
      text = "RES-23: No initiator puts payload into the SYN of a resume." },
    { rule = "CTL-02", severity = "violation", name = "tiflow.expert.ctl-02",
      text = "CTL-02: A resume has the variant of its flow, and the same TIFID on the other kind names another flow." },
    { rule = "CTL-03", severity = "violation", name = "tiflow.expert.ctl-03",
      text = "CTL-03: A host that finds no support for its Flow-C flow closes the connection before any data, so that control bytes never reach an application that does not expect them." },
    { rule = "CTL-04", severity = "note", name = "tiflow.expert.ctl-04",
      text = "CTL-04: Nobody may read a meaning into equal TIFIDs of a Flow-C and a Flow-D flow, nor expect a certain payload of Flow-C." },
    { rule = "SEC-01", severity = "warning", name = "tiflow.expert.sec-01",
      text = "SEC-01: Hosts draw halves and initial TISeqs from a cryptographic random generator, or derive them as EST-16 says." },
    { rule = "SEC-02", severity = "violation", name = "tiflow.expert.sec-02",
      text = "SEC-02: A host draws its half again where a live or quarantined flow has it, for random halves of 24 bits collide with 50 % at 4,823 flows." },
    { rule = "SEC-04", severity = "warning", name = "tiflow.expert.sec-04",
      text = "SEC-04: A host limits its dormant flows, the bytes it retains, its pending resumes, and the resume SYNs from one source." },
    { rule = "SEC-05", severity = "warning", name = "tiflow.expert.sec-05",
      text = "SEC-05: Tools tell their users that the TIFID travels in the clear, that anyone who saw a flow begin can take it over, and that TLS or SSH belongs above it." },
    { rule = "SEC-05", severity = "note", name = "tiflow.expert.sec-05.note",
      text = "SEC-05: Tools tell their users that the TIFID travels in the clear, that anyone who saw a flow begin can take it over, and that TLS or SSH belongs above it." },
  },
  -- State, then event: the next state, and the rule that is broken or noted.
  table = {
    ["idle"] = {
      SYN_NEW = { "offered" },
      SYN_RESUME = { "resuming" },
      SYN_PLAIN = { "plain" },
      ANSWER_RIGHT = { "answered" },
      ANSWER_PLAIN = { "plain" },
    },
    ["offered"] = {
      SYN_CHANGED = { "offered", "EST-09" },
      SYN_STRIPPED = { "offered", "LEG-04" },
      PEER_SYN = { "crossed" },
      ANSWER_RIGHT = { "answered" },
      ANSWER_WRONG = { "misanswered" },
      ANSWER_ECHO = { "echoed", "LEG-07" },
      ANSWER_UNASKED = { "misanswered", "EST-03" },
      ANSWER_PLAIN = { "declined" },
      CONFIRM_RIGHT = { "confirmed" },
      RESET = { "closed" },
    },
    ["resuming"] = {
      SYN_CHANGED = { "resuming", "EST-09" },
      SYN_STRIPPED = { "resuming", "LEG-06" },
      PEER_SYN = { "crossed" },
      ANSWER_RIGHT = { "resume-answered" },
      ANSWER_WRONG = { "refused" },
      ANSWER_ECHO = { "refused", "LEG-07" },
      ANSWER_UNASKED = { "refused", "EST-03" },
      ANSWER_PLAIN = { "refused", "RES-05" },
      CONFIRM_RIGHT = { "confirmed" },
      RESET = { "failed" },
    },
    ["plain"] = {
      SYN_CHANGED = { "plain", "EST-09" },
      SYN_OVERTAKEN = { "plain", "LEG-04" },
      PEER_SYN = { "crossed" },
      ANSWER_UNASKED = { "plain", "EST-03" },
      CONFIRM_RIGHT = { "legacy", "LEG-01" },
      CONFIRM_WRONG = { "legacy", "LEG-01" },
      CONFIRM_PLAIN = { "legacy" },
      DATA_PLAIN = { "legacy" },
      RESET = { "closed" },
    },
    ["crossed"] = {
      ANSWER_RIGHT = { "legacy", "EST-14" },
      ANSWER_WRONG = { "legacy", "EST-14" },
      ANSWER_ECHO = { "legacy", "EST-14" },
      ANSWER_UNASKED = { "legacy", "EST-14" },
      CONFIRM_RIGHT = { "legacy", "EST-14" },
      CONFIRM_WRONG = { "legacy", "EST-14" },
      CONFIRM_PLAIN = { "legacy" },
      DATA_PLAIN = { "legacy" },
      RESET = { "closed" },
    },
    ["answered"] = {
      ANSWER_CHANGED = { "answered", "EST-09" },
      CONFIRM_RIGHT = { "confirmed" },
      CONFIRM_WRONG = { "legacy", "EST-07" },
      CONFIRM_PLAIN = { "legacy", "LEG-03" },
      DATA_PLAIN = { "unconfirmed", "EST-12" },
      RESET = { "closed" },
    },
    ["resume-answered"] = {
      ANSWER_CHANGED = { "resume-answered", "RES-13" },
      CONFIRM_RIGHT = { "confirmed" },
      CONFIRM_WRONG = { "unproven" },
      CONFIRM_PLAIN = { "unproven" },
      DATA_PLAIN = { "confirmed" },
      RESET = { "failed" },
    },
    ["declined"] = {
      CONFIRM_RIGHT = { "legacy", "LEG-01" },
      CONFIRM_WRONG = { "legacy", "LEG-01" },
      CONFIRM_PLAIN = { "legacy" },
      DATA_PLAIN = { "legacy" },
      RESET = { "closed" },
    },
    ["misanswered"] = {
      CONFIRM_RIGHT = { "legacy", "EST-06" },
      CONFIRM_WRONG = { "legacy", "EST-06" },
      CONFIRM_PLAIN = { "legacy" },
      DATA_PLAIN = { "legacy" },
      RESET = { "closed" },
    },
    ["echoed"] = {
      CONFIRM_RIGHT = { "legacy", "LEG-07" },
      CONFIRM_WRONG = { "legacy", "LEG-07" },
      CONFIRM_PLAIN = { "legacy" },
      DATA_PLAIN = { "legacy" },
      RESET = { "closed" },
    },
    ["refused"] = {
      CONFIRM_RIGHT = { "failed", "RES-06" },
      CONFIRM_WRONG = { "failed", "RES-06" },
      CONFIRM_PLAIN = { "failed", "RES-06" },
      DATA_PLAIN = { "failed", "RES-06" },
      RESET = { "failed" },
    },
    ["unproven"] = {
      ANSWER_CHANGED = { "unproven", "RES-13" },
      PEER_TALKS = { "failed", "RES-08" },
      RESET = { "failed" },
    },
    ["confirmed"] = {
      ANSWER_SAME = { "asked-again" },
      ANSWER_CHANGED = { "asked-again", "EST-09" },
      COPY = { "confirmed", "EST-13" },
      STRAY = { "confirmed", "OPT-09" },
      PEER_TALKS = { "settled" },
    },
    ["asked-again"] = {
      ANSWER_CHANGED = { "asked-again", "EST-09" },
      CONFIRM_RIGHT = { "confirmed" },
      CONFIRM_WRONG = { "confirmed", "EST-10" },
      CONFIRM_PLAIN = { "confirmed", "EST-10" },
      PEER_TALKS = { "settled" },
    },
    ["settled"] = {
      COPY = { "settled", "OPT-09" },
      CROSSING_COPY = { "settled", "EST-13" },
      STRAY = { "settled", "OPT-09" },
    },
    ["unconfirmed"] = {
      CONFIRM_RIGHT = { "confirmed" },
      CONFIRM_WRONG = { "unconfirmed", "EST-07" },
      STRAY = { "unconfirmed", "OPT-09" },
    },
    ["legacy"] = {
      COPY = { "legacy", "OPT-09" },
      STRAY = { "legacy", "OPT-09" },
    },
  },
}

do -- 10_serial.lua
-- Numbers of 24, 32 and 48 bits. Lua 5.2 has only doubles and 5.4 integers, so nothing here uses a bit operator,
-- integer division or a float literal: every value stays exact, and an integer where there are integers.

local floor, byte, format = math.floor, string.byte, string.format

local POW24, POW31, POW32 = 16777216, 2147483648, 4294967296
local POW47, POW48 = 140737488355328, 281474976710656

function ti.u16(octets, at)
  local a, b = byte(octets, at, at + 1)
  return a * 256 + b
end

function ti.u24(octets, at)
  local a, b, c = byte(octets, at, at + 2)
  return (a * 256 + b) * 256 + c
end

-- How far `value` lies after `other`, negative where it lies before (RFC 1982).
function ti.difference32(value, other)
  return (value - other + POW31) % POW32 - POW31
end

function ti.difference48(value, other)
  return (value - other + POW47) % POW48 - POW47
end

function ti.add48(value, count)
  return (value + count) % POW48
end

function ti.hex24(value)
  return format("%06x", value)
end

function ti.hex48(value)
  return format("%06x%06x", floor(value / POW24), value % POW24)
end

-- What ProtoField.uint64 and int64 take.
local new_uint64, new_int64 = UInt64.new, Int64.new
function ti.uint64(value)
  return new_uint64(value % POW32, floor(value / POW32))
end

function ti.int64(value)
  if value < 0 then
    return -new_int64(-value % POW32, floor(-value / POW32))
  end
  return new_int64(value % POW32, floor(value / POW32))
end

-- Whole nanoseconds from the seconds that Wireshark gives.
function ti.nanoseconds(seconds)
  return floor(seconds * 1000000000 + 0.5)
end

-- What ProtoField.relative_time takes, from nanoseconds.
function ti.nstime(nanoseconds)
  local whole = nanoseconds >= 0 and floor(nanoseconds / 1000000000) or -floor(-nanoseconds / 1000000000)
  return NSTime.new(whole, nanoseconds - whole * 1000000000)
end

-- Whether the flag of value `bit` (a power of two) is set.
function ti.flag(flags, bit)
  return flags % (bit * 2) >= bit
end
end
do -- 20_option.lua
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
end
do -- 30_segment_rules.lua
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
end
do -- 40_connection.lua
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
end
do -- 50_handshake.lua
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
end
do -- 60_flows.lua
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
end
do -- 65_judge.lua
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
end
do -- 70_headers.lua
-- Where in a frame the TCP header lies. A post-dissector sees the whole frame and no offsets; asking Wireshark for the
-- fields of TCP would make it build a tree for every frame, so the header is read from the octets themselves.

local byte, sub, find, char, floor = string.byte, string.sub, string.find, string.char, math.floor
local TCP, ICMP, ICMP6, PT_TCP = 6, 1, 58, 2

-- Octets of a frame that are looked at; deep encapsulations raise it.
local reach, MOST_REACH = 128, 512

-- Where the last TCP headers over IPv4 and IPv6 were, they will be there again; and the octets as far as their window.
local hint4, hint6, enough = 34, 54, 70

-- IPv6 extension headers that only say what follows them.
local EXTENSIONS = { [0] = true, [43] = true, [44] = true, [51] = true, [60] = true, [135] = true, [139] = true,
  [140] = true }

-- Whether the IP header at `at` is quoted by an ICMP error: then the segment was not sent here.
local function quoted(raw, at)
  local before = at - 8
  local four, six = byte(raw, before - 19), byte(raw, before - 39)
  return (four and before >= 20 and four == 69 and byte(raw, before - 10) == ICMP)
    or (six and before >= 40 and six >= 96 and six < 112 and byte(raw, before - 33) == ICMP6)
end

-- The IPv4 header of any length that ends at `at`, nil where there is none.
local function ipv4_before(raw, at)
  for size = 20, 60, 4 do
    local start = at - size
    if start < 0 then
      return nil
    end
    if byte(raw, start + 1) == 64 + size / 4 and byte(raw, start + 10) == TCP
      and (byte(raw, start + 7) % 32) * 256 + byte(raw, start + 8) == 0 then
      return start
    end
  end
  return nil
end

-- The IPv6 header whose extension headers lead to `at`, nil where there is none.
local function ipv6_before(raw, at)
  for start = at - 40, 0, -4 do
    local first = byte(raw, start + 1)
    if first >= 96 and first < 112 then
      local next_header, here = byte(raw, start + 7), start + 40
      while here < at and EXTENSIONS[next_header] do
        local size = (next_header == 51 and (byte(raw, here + 2) + 2) * 4) or (next_header == 44 and 8)
          or (byte(raw, here + 2) + 1) * 8
        next_header, here = byte(raw, here + 1), here + size
      end
      if here == at and next_header == TCP then
        return start
      end
    end
  end
  return nil
end

-- The innermost TCP header with these ports: its offset, that of its IP header, and whether that is IPv6.
local function search(raw, ports)
  local found, ip, six
  local at = find(raw, ports, 1, true)
  while at do
    local start = at - 1
    local four = ipv4_before(raw, start)
    local other = not four and ipv6_before(raw, start) or nil
    if (four or other) and not quoted(raw, four or other) then
      found, ip, six = start, four or other, other ~= nil
    end
    at = find(raw, ports, at + 1, true)
  end
  return found, ip, six
end

-- Both ways between two ends, each by the key of who sends: { source, destination: the ends' addresses and ports as
-- octets; other: the way back; sender: who sends now, of what connection }.
local ways = {}

-- Those whose headers were where headers usually are, by addresses and ports in the order of the header.
local usual = {}

-- The way of a header from its sender to its receiver.
local function way_of(raw, at, ip, six)
  local size, start = six and 16 or 4, six and ip + 8 or ip + 12
  local source = sub(raw, start + 1, start + size) .. sub(raw, at + 1, at + 2)
  local destination = sub(raw, start + size + 1, start + 2 * size) .. sub(raw, at + 3, at + 4)
  local way = ways[source .. destination]
  if not way then
    way = { source = source, destination = destination }
    way.other = source == destination and way or { source = destination, destination = source, other = way }
    ways[source .. destination], ways[destination .. source] = way, way.other
  end
  return way
end

-- Methods of a Tvb; looking them up costs more than calling them.
local len, raw_of

-- Forget what was learned of the last capture.
function ti.forget_headers()
  hint4, hint6, enough, reach, ways, usual = 34, 54, 70, 128, {}, {}
end

local function port_octets(port)
  return char(floor(port / 256), port % 256)
end

-- The octets of a frame as far as TCP's window, the offset of its TCP header, its way, the offset of the IP header and the
-- octets of the IP packet (0: not known), where the ends are known and the headers where they usually are; else nil, and
-- `ti.locate` must look.
local function recognize(tvb)
  len, raw_of = len or tvb.len, raw_of or tvb.raw
  local captured = len(tvb)
  local raw = raw_of(tvb, 0, captured < enough and captured or enough)
  local at = hint4
  local way = usual[sub(raw, at - 7, at + 4)]
  if way then
    -- Length, fragmentation and protocol: IPv4 without options, not a later fragment, TCP.
    local version, _, t1, t2, _, _, f1, f2, _, protocol = byte(raw, at - 19, at - 10)
    if version == 69 and protocol == TCP and f2 == 0 and (f1 == 64 or f1 % 32 == 0) then
      return raw, at, way, at - 20, t1 * 256 + t2
    end
  else
    at = hint6
    way = usual[sub(raw, at - 31, at + 4)]
    if way then
      local version, _, _, _, l1, l2, protocol = byte(raw, at - 39, at - 33)
      if protocol == TCP and version >= 96 and version < 112 then
        return raw, at, way, at - 40, l1 * 256 + l2 + 40
      end
    end
  end
  return nil
end
ti.recognize = recognize

-- The octets of a frame, the offset of its TCP header, its way, and the offset of the IP header; nil where Wireshark saw
-- no TCP. What it saw says which ports to look for.
function ti.locate(tvb, pinfo)
  local captured = tvb:len()
  local raw = tvb:raw(0, captured < reach and captured or reach)
  local known, at, way, ip = recognize(tvb)
  if known then
    return raw, at, way, ip
  end
  if captured < 40 or pinfo.port_type ~= PT_TCP then
    return nil
  end
  local ports = port_octets(pinfo.src_port) .. port_octets(pinfo.dst_port)
  local six
  at, ip, six = search(raw, ports)
  if not at and captured > reach and reach < MOST_REACH then
    reach = MOST_REACH
    raw = tvb:raw(0, captured < reach and captured or reach)
    at, ip, six = search(raw, ports)
  end
  if not at then
    return nil
  end
  way = way_of(raw, at, ip, six)
  if not six and ip == at - 20 then
    hint4 = at
    usual[sub(raw, at - 7, at + 4)] = way
  elseif six and ip == at - 40 then
    hint6 = at
    usual[sub(raw, at - 31, at + 4)] = way
  end
  enough = (hint4 > hint6 and hint4 or hint6) + 16
  return raw, at, way, ip
end

-- The segment whose header is at `at`, without its options; nil where the header was cut, or IP's length cuts it.
function ti.read_segment(tvb, pinfo, raw, at, ip)
  if #raw < at + 20 then
    return nil
  end
  local s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, w1, w2 = byte(raw, at + 5, at + 16)
  local frame_end, stop = tvb:reported_len(), nil
  if byte(raw, ip + 1) < 96 then
    local total = byte(raw, ip + 3) * 256 + byte(raw, ip + 4)
    stop = total > 0 and ip + total or frame_end
  else
    local length = byte(raw, ip + 5) * 256 + byte(raw, ip + 6)
    stop = length > 0 and ip + 40 + length or frame_end
  end
  if stop - at < 20 then
    return nil
  end
  local seconds = pinfo.rel_ts
  local header = (offset - offset % 16) / 4
  local payload = stop - at - (header > 20 and header or 20)
  return {
    number = pinfo.number,
    seconds = seconds,
    time = ti.nanoseconds(seconds),
    at = at,
    header = header,
    length = stop - at,
    seq = ((s1 * 256 + s2) * 256 + s3) * 256 + s4,
    ack = ((a1 * 256 + a2) * 256 + a3) * 256 + a4,
    flags = flags,
    window = w1 * 256 + w2,
    payload = payload > 0 and payload or 0,
    options = {},
  }
end

-- The options of a segment.
function ti.read_options(tvb, segment)
  local length = math.min(segment.header, segment.length) - 20
  local here = math.min(tvb:len(), segment.at + segment.header, segment.at + segment.length) - segment.at - 20
  if segment.header <= 20 or length <= 0 or here <= 0 then
    return {}
  end
  return ti.walk(tvb:raw(segment.at + 20, here), length)
end
end
do -- 75_option_tree.lua
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
end
do -- 80_analysis.lua
-- The analysis of every segment of a flow. Each frame is judged when it is first visited, in order; what was found is
-- remembered by frame number and only drawn when Wireshark visits the frame again.

local byte, flag = string.byte, ti.flag
local locate, recognize = ti.locate, ti.recognize
local SYN, ACK, PSH = 2, 16, 8
local POW30, POW31, POW32 = 1073741824, 2147483648, 4294967296
local POW47, POW48 = 140737488355328, 281474976710656
local fields, experts, protocol = ti.fields, ti.experts, ti.protocol

-- By frame number: who sent it, the places of its first octet and of what it acknowledges, and for the few frames that
-- are more than data what the judgement was.
local who, places, acked_places, records

-- The highest number of a frame that was judged.
local latest

-- States in which only an option, or a SYN, still means something where none of its connection had one.
local OVER = { idle = true, legacy = true, failed = true, closed = true }
local DECIDED = { confirmed = true, settled = true, legacy = true, failed = true, closed = true }

-- By the octet of flags, whether they are those of data or of a pure ACK, and whether there is no SYN; by the octet of
-- the data offset, the octets of the header. A look into a table costs less than a division.
local CARRIES, NO_SYN, HEADER = {}, {}, {}
for octet = 0, 255 do
  local flags = octet % 32
  CARRIES[octet] = flags == ACK or flags == ACK + PSH
  NO_SYN[octet] = not flag(octet, SYN)
  HEADER[octet] = (octet - octet % 16) / 4
end

function ti.reset()
  who, places, acked_places, records = {}, {}, {}, {}
  latest = 0
  ti.connections = 0
  ti.flows, ti.named, ti.strangers, ti.halves = {}, {}, 0, {}
  carrier = false
  ti.forget_headers()
end
ti.reset()

-- What reads an attribute of a Pinfo. Wireshark keeps such functions in its metatable, and looking one up for every
-- packet costs more than calling it.
local function reader(pinfo, name)
  local readers = (getmetatable(pinfo) or {}).__getters
  return readers and readers[name] or function(packet) return packet[name] end
end
local number_of, seconds_of

-- Whether nothing but how far it has come can change in a connection as long as it only carries data.
local function steady(connection)
  local resume = connection.resume
  return connection.handshake.state == "settled" and not connection.left_by
    and not (resume and (resume.bytes_gone or resume.own.fin or resume.other.fin)) and connection.transport
end

-- Tells both ways of a connection what to do with the next segment: one of a `steady` sender takes the short cut, one
-- that is `ignored` needs no look unless it has a SYN or an option.
function ti.sort(connection)
  local state = connection.handshake.state
  local ignored = (not connection.tracked and OVER[state]) or (not ti.preferences.every_segment and DECIDED[state])
  local quick = not ignored and steady(connection)
  for _, sender in ipairs(connection.sides) do
    local way = sender.way
    if way.sender == sender then
      way.ignored, way.steady = ignored, quick and sender or nil
    end
  end
end

-- Takes in a segment of data or a pure ACK on a steady connection: the same as `observe` would do, without its tables, and
-- with numbers in place of names, which are quicker.
-- The places of its first octet and of what it acknowledges; nil where it is something else.
local function carry_on(tvb, pinfo, raw, at, ip, size, number, sender)
  local s1, s2, s3, s4, a1, a2, a3, a4, offset, flags, w1, w2 = byte(raw, at + 5, at + 16)
  if not (w2 and CARRIES[flags]) then
    return nil
  end
  local own, other = sender.own, sender.other
  local sent, acked = own.sent, own.acked
  local near = sent > acked and sent or acked
  local place = s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first
  local ahead = place - near
  if ahead >= 2147483648 or ahead < -2147483648 then
    place = near + (ahead + POW31) % POW32 - POW31
  end
  if size == 0 then -- before segmentation offload the frame's own length holds
    size = tvb:reported_len() - ip
  end
  local stop = place + ip + size - at - HEADER[offset]
  if stop > sent and stop > place then
    own.sent = stop
  end
  sent, acked = other.sent, other.acked
  near = sent > acked and sent or acked
  local reached = a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first
  ahead = reached - near
  if ahead >= 2147483648 or ahead < -2147483648 then
    reached = near + (ahead + POW31) % POW32 - POW31
  end
  if reached > acked then
    local fin = other.fin
    if fin and reached > fin then
      reached = fin
    end
    other.acked = reached
  end
  local window = (w1 * 256 + w2) * own.factor
  if window > own.window then
    own.window = window
  end
  sender.connection.last_seen = seconds_of(pinfo)
  who[number] = sender
  if near >= 1073741824 or place >= 1073741824 then -- beyond, a number alone no longer tells the place
    places[number], acked_places[number] = place, reached
  end
  return place, reached
end

-- The places of a segment's first octet and of what it acknowledges; false or nil where it has none.
local function places_of(number, sender, tvb, pinfo)
  local place, reached = places[number], acked_places[number]
  if place or reached then
    return place, reached
  end
  local raw, at = recognize(tvb)
  if not raw then
    raw, at = locate(tvb, pinfo)
  end
  if not raw then
    return nil
  end
  local s1, s2, s3, s4, a1, a2, a3, a4, _, flags = byte(raw, at + 5, at + 14)
  local own, other = sender.own, sender.other
  place = not flag(flags, SYN) and own.first
    and (s1 * 16777216 + s2 * 65536 + s3 * 256 + s4 - own.first + POW31) % POW32 - POW31
  reached = flag(flags, ACK) and other.first
    and (a1 * 16777216 + a2 * 65536 + a3 * 256 + a4 - other.first + POW31) % POW32 - POW31
  if reached and other.fin and reached > other.fin then
    reached = other.fin
  end
  return place, reached
end

-- Who sent a frame of a flow, and the place of its first octet.
function ti.sender_in(number, tvb, pinfo)
  local sender = who[number]
  if not sender then
    return nil
  end
  return sender, (places_of(number, sender, tvb, pinfo))
end

-- Judges a frame that is seen for the first time, if Wireshark saw TCP in it.
local function observe(tvb, pinfo, number, carried)
  local raw, at, way, ip = locate(tvb, pinfo)
  local segment = raw and ti.read_segment(tvb, pinfo, raw, at, ip)
  if not segment then
    return
  end
  segment.way = way
  local sender = ti.sender_of(segment)
  local connection = sender.connection
  if carried or flag(segment.flags, SYN) then
    segment.options = ti.read_options(tvb, segment)
  end
  connection.tracked = connection.tracked or carried
  local place, acked = ti.observe_connection(sender, segment)
  who[number], places[number], acked_places[number] = sender, nil, nil
  if (place and place >= POW30) or (acked and acked >= POW30) then
    places[number], acked_places[number] = place or nil, acked
  end
  local record = ti.judge(segment, sender)
  local confirms = connection.transport and connection.transport.confirmed_frame == number
  records[number] = (record.phase or #record.findings > 0 or confirms) and record or nil
  ti.sort(connection)
end

-- Methods of a TreeItem; looking them up costs more than calling them.
local add, set_generated

local function put(tree, field, value)
  set_generated(add(tree, field, value))
end

local function add_time(tree, field, nanoseconds)
  if nanoseconds then
    put(tree, fields[field], ti.nstime(nanoseconds))
  end
end

local function add_frame(tree, field, transport)
  if transport then
    put(tree, field, transport.connection.first_frame)
  end
end

local add48, difference48, uint64, int64 = ti.add48, ti.difference48, UInt64.new, Int64.new

-- One of the two numbers that a host's segments carry, its own or the one it acknowledges: where its place 0 lies in the
-- stream, and the last position that was shown, as Wireshark takes it. The peer's gauge of the same stream often has it.
local function new_gauge(anchor, origin)
  return { anchor = anchor, origin = origin, before = difference48(anchor, origin) }
end

local function gauges(sender, transport)
  local anchors, origins = transport.anchors, transport.connection.flow.transports[1].anchors
  local forward, reverse = "forward", "reverse"
  if sender.forward == transport.turned then
    forward, reverse = reverse, forward
  end
  sender.sends = new_gauge(anchors[forward], origins[forward])
  sender.acknowledges = new_gauge(anchors[reverse], origins[reverse])
  local peer = sender.peer
  if peer.sends then
    sender.sends.twin, peer.acknowledges.twin = peer.acknowledges, sender.sends
    sender.acknowledges.twin, peer.sends.twin = peer.sends, sender.acknowledges
  end
end

local function add_position(tree, absolute, relative, gauge, place)
  local twin = gauge.twin
  if gauge.place == place then
    -- as before
  elseif twin and twin.place == place then
    gauge.place, gauge.position, gauge.distance = place, twin.position, twin.distance
  else
    local position, distance = gauge.anchor + place, gauge.before + place
    if position >= POW48 or position < 0 then
      position = add48(gauge.anchor, place)
    end
    if distance >= POW47 or distance < -POW47 then
      distance = difference48(position, gauge.origin)
    end
    gauge.place, gauge.position, gauge.distance = place, uint64(position), int64(distance)
  end
  set_generated(add(tree, absolute, gauge.position))
  set_generated(add(tree, relative, gauge.distance))
end

local function add_finding(tree, one)
  put(tree, fields.rule, one.rule)
  put(tree, fields.severity, one.severity)
  local text = one.rule .. ": " .. definition.rules[one.rule].text .. (one.text and " (" .. one.text .. ")" or "")
  tree:add_proto_expert_info(experts[one.rule .. one.severity] or experts[one.rule .. "note"], text)
end

local flow_field, number_field = fields.flow, fields.transport
local previous_field, next_field = fields["transport.previous"], fields["transport.next"]
local position, position_relative = fields.position, fields["position.relative"]
local acknowledged, acknowledged_relative = fields.ack_position, fields["ack_position.relative"]

local function draw_transport(tree, transport, sender, number, place, acked)
  set_generated(add(tree, number_field, transport.number))
  add_frame(tree, previous_field, transport.previous)
  add_frame(tree, next_field, transport.next)
  if not sender.sends then
    gauges(sender, transport)
  end
  if place then
    add_position(tree, position, position_relative, sender.sends, place)
  end
  if acked then
    add_position(tree, acknowledged, acknowledged_relative, sender.acknowledges, acked)
  end
  if transport.confirmed_frame == number and transport.number > 1 then
    add_time(tree, "reconnect_time", transport.reconnect_time)
    add_time(tree, "outage", transport.outage)
  end
end

-- The block on a frame: flow and transport, where it stands in both streams, what it breaks. The places are looked up
-- where they are not given.
local function draw(tvb, pinfo, tree, number, sender, record, place, acked)
  local connection = sender.connection
  local flow, transport = connection.flow, connection.transport
  local ended = not transport and OVER[connection.handshake.state]
  if not record and (not flow or ended) then
    return
  end
  add, set_generated = add or tree.add, set_generated or tree.set_generated
  local block = add(tree, protocol, "TI-flow analysis")
  set_generated(block)
  if flow then
    set_generated(add(block, flow_field, flow.index))
    if transport then
      if not place then
        place, acked = places_of(number, sender, tvb, pinfo)
      end
      draw_transport(block, transport, sender, number, place, acked)
    elseif not ended and connection.resume then
      put(block, number_field, #flow.transports + 1)
      add_frame(block, previous_field, connection.resume.from)
    end
  end
  if record then
    if record.phase then
      put(block, fields.phase, record.phase)
    end
    for _, one in ipairs(record.findings) do
      add_finding(block, one)
    end
  end
end

-- What the packet list says of a frame with an option.
local function summarize(pinfo, sender, record)
  local option = record.option
  if not record.phase or not option then
    return
  end
  local text = " TI-flow " .. record.phase .. " " .. ti.hex48(option.tifid)
  local transport = sender.connection.transport
  local origins = transport and ti.preferences.relative and transport.connection.flow.transports[1].anchors
  if origins and sender.forward ~= transport.turned then
    text = text .. string.format(" S=+%d K=+%d", ti.difference48(option.tiseq, origins.forward),
      ti.difference48(option.tiack, origins.reverse))
  elseif origins then
    text = text .. string.format(" S=+%d K=+%d", ti.difference48(option.tiseq, origins.reverse),
      ti.difference48(option.tiack, origins.forward))
  else
    text = text .. " S=" .. ti.hex48(option.tiseq) .. " K=" .. ti.hex48(option.tiack)
  end
  pinfo.cols.protocol:set("TI-flow")
  pinfo.cols.info:append(text)
end

local analysis = Proto.new("tiflow_analysis", "TI-flow analysis")

-- This plugin's protocol, and the method of a tree that tells whether anybody wants to see it.
local wanted, referenced

-- What that method said on a first visit: there tshark gives the same answer all along, which Wireshark, where filters
-- come and go, does not.
local asked, changing = nil, gui_enabled()

function analysis.dissector(tvb, pinfo, tree)
  local carried = carrier
  carrier = false
  if not number_of then
    number_of, seconds_of, referenced = reader(pinfo, "number"), reader(pinfo, "rel_ts"), tree.referenced
  end
  local number = number_of(pinfo)
  if number > latest or (number == latest and not pinfo.visited) then
    if number == latest then -- under a read filter several frames have one number, of which the last is kept
      who[number], places[number], acked_places[number], records[number] = nil, nil, nil, nil
    end
    latest = number
    local raw, at, way, ip, size = recognize(tvb)
    if raw and not carried then
      local sender = way.steady
      if sender then
        local place, acked = carry_on(tvb, pinfo, raw, at, ip, size, number, sender)
        if place then
          if asked == nil or changing then
            asked = referenced(tree, wanted)
          end
          if asked then
            draw(tvb, pinfo, tree, number, sender, nil, place, acked)
          end
          return
        end
      elseif way.ignored and NO_SYN[byte(raw, at + 14)] then
        return
      end
    end
    observe(tvb, pinfo, number, carried)
  end
  local sender = who[number]
  if not sender then
    return
  end
  local record = records[number]
  if record then
    summarize(pinfo, sender, record)
  elseif not referenced(tree, wanted) then
    return
  end
  draw(tvb, pinfo, tree, number, sender, record)
end

function analysis.init()
  ti.reset()
  wanted, asked = wanted or Dissector.get("tiflow"), nil
end
register_postdissector(analysis)
end
do -- 85_statistics.lua
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
end
do -- 90_follow.lua
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
end
do -- 95_register.lua
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
end
