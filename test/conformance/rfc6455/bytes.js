// What a case sends, as bytes: payloads, frames and requests from their descriptions in the case
// files, right or broken as they say. README.md tells the format.
'use strict';

const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789-';

// The room that cases join, and what they say in it.
const TOPIC = 'room:rfc6455';
const JOIN = JSON.stringify(['1', '1', TOPIC, 'phx_join', {}]);
const JOINED = ['1', '1', TOPIC, 'phx_reply', { status: 'ok', response: {} }];
const ECHO = ['1', '2', TOPIC];

// --- Payloads ----------------------------------------------------------------------------------

// A string, or an object whose first key names its kind; bytes stay what they are.
function payload(spec) {
    if (Buffer.isBuffer(spec)) return spec;
    if (typeof spec === 'string') return Buffer.from(spec);
    const [kind] = Object.keys(spec);
    if (!(kind in payloads)) throw new Error(`no such payload: ${JSON.stringify(spec)}`);
    return payloads[kind](spec[kind], spec);
}

const payloads = {
    hex: (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'),
    latin1: (text) => Buffer.from(text, 'latin1'),
    fill(what, { count }) {
        const bytes = payload(what);
        return bytes.length > 0 ? Buffer.alloc(count * bytes.length, bytes) : bytes;
    },
    parts: (parts) => Buffer.concat(parts.map(payload)),
    close: (code, { reason = '' }) => Buffer.concat([uint(code, 2), payload(reason)]),

    // Messages of the Phoenix protocol, version 2.0.0; the echoes are events of the room.
    join: () => Buffer.from(JOIN),
    heartbeat: (ref) => Buffer.from(JSON.stringify([null, ref, 'phoenix', 'heartbeat', {}])),
    echo(spec) {
        const [before, after] = JSON.stringify([...ECHO, 'echo', { data: '?' }]).split('?');
        return Buffer.concat([Buffer.from(before), content(spec, before.length + after.length),
            Buffer.from(after)]);
    },
    binary_echo(size) {
        const head = Buffer.concat([Buffer.from([0, 1, 1, TOPIC.length, 11]),
            Buffer.from([...ECHO, 'binary_echo'].join(''))]);
        return Buffer.concat([head, filler(size - head.length)]);
    },
};

// What an echo holds: given, or as many bytes as its whole message is to have.
function content(spec, around) {
    return typeof spec === 'number' ? filler(spec - around) : payload(spec);
}

// No two neighbours alike, and no period that divides a buffer's size: what is lost, doubled or
// unmasked with the wrong byte of the key shows.
function filler(size) {
    if (size < 0) throw new Error(`a message that is ${-size} bytes too short`);
    return Buffer.alloc(size, LETTERS);
}

// The answers of the server to them.
function echoed(spec) {
    const { data } = JSON.parse(payloads.echo(spec).toString()).at(-1);
    return [...ECHO, 'phx_reply', { status: 'ok', response: { data } }];
}

function binaryEchoed(size) {
    const data = payloads.binary_echo(size).subarray(5 + ECHO.join('').length + 11);
    const head = Buffer.from([1, 1, 1, TOPIC.length, 2]);
    return Buffer.concat([head, Buffer.from([...ECHO, 'ok'].join('')), data]);
}

// --- Frames ------------------------------------------------------------------------------------

function uint(value, size) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes.subarray(8 - size);
}

function masked(bytes, key) {
    const result = Buffer.alloc(bytes.length);
    for (let i = 0; i < bytes.length; i++) result[i] = bytes[i] ^ key[i % 4];
    return result;
}

// Another key for every frame: the golden ratio's multiples are well spread.
let keys = 0;
function nextKey() {
    keys = (keys + 0x9e3779b9) >>> 0;
    return uint(keys, 4);
}

// `says` is the announced length, `form` the bits it is written in; `only` cuts the frame off.
function frame({ op, fin = true, rsv = 0, mask, data = Buffer.alloc(0), says, form, only }) {
    const length = BigInt(says ?? data.length);
    const bits = form ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
    const key = mask === undefined ? nextKey() : Buffer.from(mask ?? '', 'hex');
    const opcode = OPCODES[op] ?? op;
    const bytes = Buffer.concat([
        Buffer.from([(fin ? 128 : 0) | rsv << 4 | opcode,
            (mask === null ? 0 : 128) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127)]),
        uint(length, bits === 7 ? 0 : bits / 8),
        key,
        mask === null ? data : masked(data, key),
    ]);
    return bytes.subarray(0, only);
}

// One frame, or the fragments of a message: cut before the offsets of `cut` (from the end if they
// are negative) or `every` so many bytes, with the frames of `between` after each but the last.
function frames({ payload: what = '', cut, every, between = [], ...spec }) {
    const data = payload(what);
    const ends = every ? offsets(every, data.length) : (cut ?? []);
    const starts = [0, ...ends.map((at) => (at < 0 ? data.length + at : at))];
    return Buffer.concat(starts.flatMap((start, i) => {
        const last = i === starts.length - 1;
        const piece = frame({ ...spec, op: i === 0 ? spec.op : 'continuation',
            fin: last ? spec.fin ?? true : false, data: data.subarray(start, starts[i + 1]) });
        return last ? [piece] : [piece, ...between.map(frames)];
    }));
}

function offsets(every, length) {
    return Array.from({ length: Math.ceil(length / every) - 1 }, (_, i) => (i + 1) * every);
}

// --- Requests ----------------------------------------------------------------------------------

// RFC 6455, 1.3: its answer is known from there.
const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

const HANDSHAKE = {
    'Host': 'localhost',
    'Upgrade': 'websocket',
    'Connection': 'Upgrade',
    'Sec-WebSocket-Key': SAMPLE_KEY,
    'Sec-WebSocket-Version': '13',
};

// A handshake `without` some headers, `with` others in their places, and `and` lines more.
function handshake(path, { method = 'GET', target = path, version = 'HTTP/1.1', ...change }) {
    const headers = { ...HANDSHAKE, ...change.with };
    for (const name of change.without ?? []) delete headers[name];
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    return lined([`${method} ${target} ${version}`, ...lines, ...change.and ?? []]);
}

// With the length of its body, or that in chunks of so many bytes, if it asks for either.
function request({ request: lines, body = '', sized, chunks }) {
    const bytes = payload(body);
    if (sized)
        return Buffer.concat([lined([...lines, `Content-Length: ${bytes.length}`]), bytes]);
    if (!chunks) return Buffer.concat([lined(lines), bytes]);
    const pieces = [0, ...offsets(chunks, bytes.length)]
        .map((at) => bytes.subarray(at, at + chunks));
    return Buffer.concat([lined([...lines, 'Transfer-Encoding: chunked']),
        ...pieces.map(chunk), chunk('')]);
}

function chunk(piece) {
    return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), Buffer.from(piece),
        Buffer.from('\r\n')]);
}

function lined(lines) {
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

// --- All of it ---------------------------------------------------------------------------------

function item(spec, path) {
    if (spec.times)
        return payloads.fill(item({ ...spec, times: 0 }, path), { count: spec.times });
    if (spec.handshake) return handshake(path, spec.handshake);
    if (spec.request) return request(spec);
    if (spec.bytes !== undefined) return payload(spec.bytes);
    if (spec.op === undefined) throw new Error(`nothing to send: ${JSON.stringify(spec)}`);
    return frames(spec);
}

function sent({ send, path }) {
    return Buffer.concat(send.map((spec) => item(spec, path)));
}

module.exports = { HANDSHAKE, JOIN, JOINED, binaryEchoed, echoed, payload, sent };
