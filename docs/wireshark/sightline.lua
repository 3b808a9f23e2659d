-- Sightline's tunnel protocol for Wireshark and tshark (tried with 4.0). docs/protocol.md describes what is read here, and
-- README.md beside this file how to load it. Rules: it is found by the WebSocket subprotocol alone, never by guessing;
-- what the two ends of a tunnel would refuse is shown as malformed; and it only shows what the TLS keys have opened.

local sightline = Proto("sightline", "Sightline tunnel")

local HEADER_BYTES = 5
local MAX_PAYLOAD_BYTES = 65536
local MAX_REFERENCE_BYTES = 32
local INITIAL_CREDIT_BYTES = { tcp = 65536, udp = 131072 }
local MAX_OFFSET = 9007199254740991 -- 2^53 - 1

local OPEN, OPENED, REFUSED, DATA, CREDIT, FIN, RESET, GOAWAY = 1, 2, 3, 4, 5, 6, 7, 8
local TYPES = {
  [OPEN] = "OPEN", [OPENED] = "OPENED", [REFUSED] = "REFUSED", [DATA] = "DATA",
  [CREDIT] = "CREDIT", [FIN] = "FIN", [RESET] = "RESET", [GOAWAY] = "GOAWAY",
}
local KINDS = { [1] = "tcp", [2] = "udp" }
local IPV4, NAME, IPV6 = 1, 3, 4
local ADDRESS_TYPES = { [IPV4] = "IPv4", [NAME] = "name", [IPV6] = "IPv6" }

-- docs/protocol.md, error numbers. test/e2e/tshark.test.ts holds this table against src/errors.ts.
local ERRORS = {
  [1] = "bad-request",
  [2] = "head-too-large",
  [3] = "handshake-timeout",
  [4] = "command-unsupported",
  [5] = "address-type-unsupported",
  [6] = "auth-required",
  [7] = "auth-failed",
  [8] = "source-denied",
  [9] = "destination-denied",
  [10] = "name-not-found",
  [11] = "name-lookup-failed",
  [12] = "connection-refused",
  [13] = "host-unreachable",
  [14] = "network-unreachable",
  [15] = "dial-timeout",
  [16] = "dial-failed",
  [17] = "connection-reset",
  [18] = "upstream-protocol-error",
  [19] = "idle-timeout",
  [20] = "too-many-connections",
  [21] = "too-many-streams",
  [22] = "tunnel-unavailable",
  [23] = "shutting-down",
  [24] = "certificate-required",
  [25] = "certificate-untrusted",
  [26] = "certificate-expired",
  [27] = "certificate-not-yet-valid",
  [28] = "certificate-wrong-usage",
  [29] = "certificate-revoked",
  [30] = "revocation-list-unusable",
  [31] = "tls-version",
  [32] = "tls-failed",
  [33] = "gateway-untrusted",
  [34] = "frame-malformed",
  [35] = "frame-unknown",
  [36] = "frame-too-large",
  [37] = "stream-id-invalid",
  [38] = "credit-exceeded",
  [39] = "tunnel-dead",
  [40] = "stream-cancelled",
  [41] = "config-invalid",
  [42] = "address-in-use",
  [43] = "listen-failed",
  [44] = "pki-invalid",
  [45] = "file-unusable",
  [46] = "upgrade-required",
  [47] = "not-found",
  [48] = "udp-ports-exhausted",
  [49] = "too-many-associations",
  [50] = "rate-limited",
  [51] = "too-many-from-source",
  [52] = "too-many-for-identity",
  [53] = "quota-exceeded",
  [54] = "lifetime-exceeded",
  [55] = "proxy-header-invalid",
  [56] = "upstream-unavailable",
  [57] = "upstream-auth-failed",
  [58] = "upstream-untrusted",
  [80] = "user-removed",
  [82] = "state-unavailable",
  [83] = "state-invalid",
  [84] = "state-auth-failed",
  [85] = "state-untrusted",
  [90] = "usage-store-unavailable",
  [91] = "usage-store-invalid",
  [255] = "internal-error",
}

local f = {
  type = ProtoField.uint8("sightline.type", "Type", base.HEX, TYPES),
  stream = ProtoField.uint32("sightline.stream", "Stream", base.DEC),
  destination = ProtoField.string("sightline.destination", "Destination of the stream"),
  open_kind = ProtoField.uint8("sightline.open.kind", "Kind", base.DEC, KINDS),
  open_address_type = ProtoField.uint8("sightline.open.address_type", "Address type", base.DEC, ADDRESS_TYPES),
  open_host = ProtoField.string("sightline.open.host", "Host"),
  open_port = ProtoField.uint16("sightline.open.port", "Port", base.DEC),
  opened_address_type = ProtoField.uint8("sightline.opened.address_type", "Address type", base.DEC, ADDRESS_TYPES),
  opened_host = ProtoField.string("sightline.opened.host", "Connected from"),
  opened_port = ProtoField.uint16("sightline.opened.port", "Port", base.DEC),
  error = ProtoField.uint16("sightline.error", "Error", base.DEC, ERRORS),
  reference = ProtoField.string("sightline.refused.reference", "Reference"),
  datagram_address_type = ProtoField.uint8("sightline.datagram.address_type", "Address type", base.DEC, ADDRESS_TYPES),
  datagram_host = ProtoField.string("sightline.datagram.host", "Host"),
  datagram_port = ProtoField.uint16("sightline.datagram.port", "Port", base.DEC),
  datagram_payload = ProtoField.bytes("sightline.datagram.payload", "Datagram"),
  data_payload = ProtoField.bytes("sightline.data.payload", "Payload"),
  data_length = ProtoField.uint32("sightline.data.length", "Payload length", base.DEC),
  data_offset = ProtoField.uint64("sightline.data.offset", "Offset in the stream", base.DEC),
  credit_offset = ProtoField.uint64("sightline.credit.offset", "The peer may send up to offset", base.DEC),
  unread = ProtoField.bytes("sightline.unread", "Not read"),
}
local MALFORMED, PROTOCOL = expert.group.MALFORMED, expert.group.PROTOCOL
local ERROR, WARN = expert.severity.ERROR, expert.severity.WARN
local e = {
  malformed = ProtoExpert.new("sightline.malformed", "Malformed frame", MALFORMED, ERROR),
  unknown = ProtoExpert.new("sightline.unknown_type", "Unknown frame type", MALFORMED, ERROR),
  too_large = ProtoExpert.new("sightline.too_large", "Frame too large", MALFORMED, ERROR),
  overrun = ProtoExpert.new("sightline.credit_exceeded", "More than the credit allows", PROTOCOL, WARN),
}
local function values(list)
  local all = {}
  for _, value in pairs(list) do all[#all + 1] = value end
  return all
end
sightline.fields = values(f)
sightline.experts = values(e)

local tcp_stream = Field.new("tcp.stream")

-- What earlier frames say of later ones: connections[tcp.stream][stream id] = { kind, destination, sent, credit }, the last two
-- by sender. Built in the first pass, in order; later passes, in any order, read it back from `notes`.
local connections, notes, last_packet, ordinal, shown

function sightline.init()
  connections, notes, last_packet, ordinal, shown = {}, {}, nil, 0, {}
end

-- The note of this frame: the same table whenever this frame of this packet is dissected again.
local function note_of(pinfo)
  if pinfo.number ~= last_packet then last_packet, ordinal = pinfo.number, 0 end
  local list = notes[pinfo.number] or {}
  notes[pinfo.number] = list
  ordinal = ordinal + 1
  if pinfo.visited and ordinal > #list then ordinal = 1 end
  if ordinal == 1 then shown = {} end
  if not pinfo.visited then list[ordinal] = {} end
  return list[ordinal] or {}
end

local function stream_of(id, is_new)
  local info = tcp_stream()
  local key = info and info.value or -1
  connections[key] = connections[key] or {}
  if is_new then connections[key][id] = { sent = {}, credit = {} } end
  return connections[key][id]
end

local function ends(pinfo)
  return tostring(pinfo.src) .. " " .. pinfo.src_port, tostring(pinfo.dst) .. " " .. pinfo.dst_port
end

-- Writes into the frame's note what only its predecessors tell. A stream whose OPEN was not captured has none.
local function follow(pinfo, note, frame)
  local from, to = ends(pinfo)
  local stream = stream_of(frame.stream, frame.type == OPEN)
  if stream == nil then return end
  if frame.type == OPEN then stream.kind, stream.destination = frame.kind, frame.text end
  note.destination = stream.destination
  if frame.type == DATA then
    note.offset = stream.sent[from] or 0
    stream.sent[from] = note.offset + frame.length
    note.overrun = stream.sent[from] > (stream.credit[from] or INITIAL_CREDIT_BYTES[stream.kind])
  elseif frame.type == CREDIT then
    stream.credit[to] = math.max(stream.credit[to] or INITIAL_CREDIT_BYTES[stream.kind], frame.offset)
  end
end

local function show_host_and_port(host, port)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return host .. ":" .. port
end

-- Reads the address at the front of `body`, and its end to the byte unless `open_end`. Gives `host:port` and where it ends, or
-- nothing and what is wrong.
local function read_address(body, tree, type_field, host_field, port_field, open_end)
  if body == nil then return nil, "no address" end
  local kind = body(0, 1):uint()
  tree:add(type_field, body(0, 1))
  local start, length
  if kind == IPV4 then start, length = 1, 4
  elseif kind == IPV6 then start, length = 1, 16
  elseif kind == NAME then start, length = 2, body:len() > 1 and body(1, 1):uint() or 0
  else return nil, "address type " .. kind end
  local stop = start + length + 2
  if body:len() < stop or (body:len() > stop and not open_end) then return nil, "an address of a wrong length" end
  local host = ""
  if kind == IPV4 then host = tostring(body(start, length):ipv4())
  elseif kind == IPV6 then host = tostring(body(start, length):ipv6())
  elseif length > 0 then
    host = body(start, length):raw()
    if host:find("[^\33-\126]") then return nil, "a name with other than printable ASCII" end
  else return nil, "a name without a character" end
  local port = body(start + length, 2):uint()
  if length > 0 then tree:add(host_field, body(start, length), host) end
  tree:add(port_field, body(start + length, 2))
  return show_host_and_port(host, port), stop
end

local function read_error(body, tree)
  tree:add(f.error, body(0, 2))
  return ERRORS[body(0, 2):uint()] or "error " .. body(0, 2):uint()
end

-- One reader for each type: gives the text for the info column, or nothing and what is wrong. `body` is nil where empty.
local readers = {
  [OPEN] = function(body, tree, frame)
    if body == nil then return nil, "OPEN is empty" end
    local kind = KINDS[body(0, 1):uint()]
    tree:add(f.open_kind, body(0, 1))
    if kind == nil then return nil, "OPEN has an unknown kind" end
    local address = body:len() > 1 and body(1) or nil
    local text, wrong = read_address(address, tree, f.open_address_type, f.open_host, f.open_port)
    frame.kind = kind
    return text and kind .. " " .. text, wrong
  end,
  [OPENED] = function(body, tree)
    local text, wrong = read_address(body, tree, f.opened_address_type, f.opened_host, f.opened_port)
    return text and "from " .. text, wrong
  end,
  [REFUSED] = function(body, tree)
    if body == nil or body:len() < 2 or body:len() > 2 + MAX_REFERENCE_BYTES then return nil, "REFUSED has a wrong length" end
    local text = read_error(body, tree)
    if body:len() == 2 then return text end
    local reference = body(2):raw()
    if reference:find("[^0-9a-z-]") then return nil, "REFUSED has a reference with other characters" end
    tree:add(f.reference, body(2), reference)
    return text .. ", reference " .. reference
  end,
  [DATA] = function(body, tree, frame)
    if body == nil then return nil, "DATA is empty" end
    frame.length = body:len()
    tree:add(f.data_length, frame.length):set_generated()
    tree:add(f.data_payload, body)
    local stream = stream_of(frame.stream)
    if stream == nil or stream.kind ~= "udp" then return frame.length .. " bytes" end
    local text, stop = read_address(body, tree, f.datagram_address_type, f.datagram_host, f.datagram_port, true)
    if text == nil then return nil, "a datagram with " .. stop end
    if frame.length > stop then tree:add(f.datagram_payload, body(stop)) end
    return frame.length - stop .. " bytes, datagram of " .. text
  end,
  [CREDIT] = function(body, tree, frame)
    if body == nil or body:len() ~= 8 then return nil, "CREDIT has a wrong length" end
    tree:add(f.credit_offset, body(0, 8))
    frame.offset = body(0, 8):uint64():tonumber()
    if frame.offset > MAX_OFFSET or frame.offset < 0 then return nil, "CREDIT is past 2^53 - 1" end
    return string.format("up to %.0f", frame.offset)
  end,
  [FIN] = function(body)
    if body ~= nil then return nil, "FIN has a body" end
    return ""
  end,
  [RESET] = function(body, tree)
    if body == nil or body:len() ~= 2 then return nil, "RESET has a wrong length" end
    return read_error(body, tree)
  end,
  [GOAWAY] = function(body, tree)
    if body == nil or body:len() ~= 2 then return nil, "GOAWAY has a wrong length" end
    return read_error(body, tree)
  end,
}

local function show(pinfo, root, text)
  root:append_text(": " .. text)
  pinfo.cols.protocol = "Sightline"
  -- One packet may carry many frames: all of them, in place of what the layers below had to say.
  shown[#shown + 1] = text
  pinfo.cols.info:clear_fence()
  pinfo.cols.info = table.concat(shown, " | ")
end

local function refuse(pinfo, root, tvb, problem, text)
  root:add_proto_expert_info(problem, text)
  if tvb:len() > HEADER_BYTES then root:add(f.unread, tvb(HEADER_BYTES)) end
  show(pinfo, root, text)
  return tvb:len()
end

function sightline.dissector(tvb, pinfo, tree)
  local note = note_of(pinfo)
  local root = tree:add(sightline, tvb())
  if tvb:len() < HEADER_BYTES then return refuse(pinfo, root, tvb, e.malformed, "shorter than a header") end
  if tvb:len() > HEADER_BYTES + MAX_PAYLOAD_BYTES then return refuse(pinfo, root, tvb, e.too_large, "larger than a frame may be") end
  local frame = { type = tvb(0, 1):uint(), stream = tvb(1, 4):uint() }
  root:add(f.type, tvb(0, 1))
  root:add(f.stream, tvb(1, 4))
  local read = readers[frame.type]
  if read == nil then return refuse(pinfo, root, tvb, e.unknown, "unknown type " .. frame.type) end
  local body = tvb:len() > HEADER_BYTES and tvb(HEADER_BYTES) or nil
  local text, wrong = read(body, root, frame)
  if text == nil then return refuse(pinfo, root, tvb, e.malformed, wrong) end
  frame.text = text
  if frame.type ~= GOAWAY and not pinfo.visited then follow(pinfo, note, frame) end
  if note.destination and frame.type ~= OPEN then root:add(f.destination, note.destination):set_generated() end
  if note.offset then root:add(f.data_offset, UInt64(note.offset % 4294967296, math.floor(note.offset / 4294967296))):set_generated() end
  if note.overrun then root:add_proto_expert_info(e.overrun) end
  show(pinfo, root, TYPES[frame.type] .. " " .. frame.stream .. (text == "" and "" or " " .. text))
  return tvb:len()
end

DissectorTable.get("ws.protocol"):add("sightline.v1", sightline)
