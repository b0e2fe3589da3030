// Plays one case on a connection of its own and tells the first difference.
//
// A case whose list of expectations ends while the connection is still good is not over: it has to
// be closed properly, which shows that nothing else was said and that the server has kept its place
// in the stream.
'use strict';

const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');
const { Wire } = require('../wire.js');
const { HANDSHAKE, JOIN, JOINED, binaryEchoed, echoed, payload } = require('./bytes.js');

const LIMIT_MS = 10000;     // for whatever should come at once
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

class Difference extends Error {
    constructor(expected, got) {
        super('difference');
        this.expected = expected;
        this.got = got ?? 'nothing';
    }
}

// Throws a Difference if the server behaves otherwise than `one` says. `bytes` are those it sends.
async function check(one, bytes, address) {
    const wire = new Wire(address);
    try {
        const { opened, token } = await open(wire, one);
        if (bytes.toString('latin1', 0, 5) === 'HEAD ') wire.method = 'HEAD';
        const writing = write(wire, token ? withToken(bytes, token) : bytes, one.pieces);
        // The client answers a close by itself, but not if the case sends one.
        wire.closeSent = one.send.some(({ op }) => op === 'close');
        for (const expected of one.expect) await expectOne(wire, expected);
        await writing;
        await finish(wire, one, opened || wire.parse === wire.parseFrame);
    } finally {
        wire.destroy();
    }
}

// --- Before and after --------------------------------------------------------------------------

async function open(wire, { open: how, path }) {
    if (how === 'nothing') return { opened: false };
    if (how === 'session') return { opened: false, token: await session(wire, path) };
    wire.request('GET', path, HANDSHAKE);
    await expectOne(wire, { status: 101 });
    if (how === 'join') {
        wire.sendText(Buffer.from(JOIN));
        await expectOne(wire, { text: JOINED });
    }
    return { opened: true };
}

// The token of a new long-poll session, which stands wherever a case sends ${token}.
async function session(wire, path) {
    wire.request('GET', path, { Host: 'localhost' });
    const event = await wire.next(LIMIT_MS);
    const { token } = parsed(event?.response?.body) ?? {};
    if (!token) throw new Difference('a session', brief(event));
    return token;
}

function withToken(bytes, token) {
    return Buffer.from(bytes.toString('latin1').replaceAll('${token}', token), 'latin1');
}

async function finish(wire, { expect }, opened) {
    const last = expect.at(-1);
    if (last === 'end') return;
    if (opened && !last?.close) {
        wire.close(1000);
        await expectOne(wire, { close: 1000 });
    }
    if (!opened) wire.socket.end();
    await expectOne(wire, 'end');
}

// In pieces of the given sizes, over and over; each is written when the one before is with the
// kernel, and what has arrived has been looked at. A server that has heard enough may stop it.
async function write(wire, bytes, pieces) {
    const sizes = [pieces ?? bytes.length].flat();
    for (let at = 0, i = 0; at < bytes.length && wire.socket.writable; i++) {
        const piece = bytes.subarray(at, at += sizes[i % sizes.length]);
        await new Promise((resolve) => {
            wire.socket.once('close', resolve);
            wire.socket.write(piece, () => {
                wire.socket.off('close', resolve);
                setImmediate(resolve);
            });
        });
    }
}

// --- Expectations ------------------------------------------------------------------------------

async function expectOne(wire, expected) {
    if (expected === 'end') return expectEnd(wire);
    if (expected.pongs) return expectPongs(wire, expected.pongs.map(hexOf));
    const [kind] = Object.keys(expected);
    const event = await wire.next(LIMIT_MS);
    if (!event || !kinds[kind](event, expected)) throw new Difference(expected, brief(event));
}

const kinds = {
    text: (event, { text }) => same(event.text, text),
    echo: (event, { echo }) => same(event.text, echoed(echo)),
    binary_echo: (event, { binary_echo: size }) =>
        event.hex === binaryEchoed(size).toString('hex'),
    heartbeat: (event, { heartbeat: ref }) =>
        same(event.text, [null, ref, 'phoenix', 'phx_reply', { status: 'ok', response: {} }]),
    pong: (event, { pong }) => event.pong === hexOf(pong),
    close: (event, { close }) => [close].flat().includes(event.close?.code),
    status: (event, { status, headers = {}, body, json, polled }) => event.response
        && [status].flat().includes(event.response.status)
        && (event.response.status !== 101 || upgraded(event.response))
        && Object.entries(headers).every(([name, value]) =>
            (event.response.headers[name] ?? null) === value)
        && (body === undefined || event.response.body === body)
        && (json === undefined || sameMembers(parsed(event.response.body), json))
        && (polled === undefined || samePolled(parsed(event.response.body), polled)),
};

// The stream ends as it should: not by a reset, and without half a word.
async function expectEnd(wire) {
    const event = await wire.next(LIMIT_MS);
    if (event?.end !== 'end of stream' || wire.input.length > 0)
        throw new Difference('the end of the stream', brief(event));
}

// RFC 6455, 5.5.3: of pings not yet answered, only the last must be.
async function expectPongs(wire, pongs) {
    let at = -1;
    while (at < pongs.length - 1) {
        const event = await wire.next(LIMIT_MS);
        at = event?.pong === undefined ? -1 : pongs.indexOf(event.pong, at + 1);
        if (at < 0) throw new Difference('pongs in order, the last of them too', brief(event));
    }
}

function upgraded({ headers }) {
    const accept = crypto.createHash('sha1')
        .update(HANDSHAKE['Sec-WebSocket-Key'] + GUID).digest('base64');
    return headers['sec-websocket-accept'] === accept
        && headers['upgrade']?.toLowerCase() === 'websocket'
        && headers['connection']?.toLowerCase() === 'upgrade'
        && !('sec-websocket-extensions' in headers);
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function same(text, value) {
    return isDeepStrictEqual(parsed(text), value);
}

// The members shown, whatever others there are.
function sameMembers(got, members) {
    return Object.entries(members).every(([key, value]) => isDeepStrictEqual(got?.[key], value));
}

// The messages that a poll brought: the answers to a join and to echoes.
function samePolled(got, polled) {
    const messages = polled.map((what) => (what === 'join' ? JOINED : echoed(what.echo)));
    return isDeepStrictEqual(got?.messages?.map(parsed), messages);
}

function hexOf(spec) {
    return payload(spec).toString('hex');
}

function brief(event) {
    const text = JSON.stringify(event);
    return text?.length > 500 ? `${text.slice(0, 400)} ... ${text.slice(-80)}` : event;
}

module.exports = { check };
