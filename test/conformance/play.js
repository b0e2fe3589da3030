// Plays one transcript against a server and stops at the first difference.
//
// The format of a transcript is told in README.md; `kinds` below has one function for each of its
// steps. A message is compared as a value and not as bytes, because key order and the spelling of
// strings and numbers are free.
'use strict';

const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');
const { Wire } = require('./wire.js');

const LIMIT_MS = 5000;          // for whatever should come at once
const POLL_LIMIT_MS = 15000;    // for an HTTP answer, which may be held for a window
const ONE_OF_MS = 250;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fromHex = (hex) => Buffer.from(hex, 'hex');
const filled = ({ prefix = '', fill, count, suffix = '' }) =>
    Buffer.from(prefix + fill.repeat(count) + suffix);

class Difference extends Error {
    constructor(expected, got) {
        super('difference');
        this.expected = expected;
        this.got = got ?? 'nothing';
    }
}

// Throws a Difference, with `where` added to it, if the server answers otherwise.
async function play(transcript, address) {
    const state = { address, vars: {}, conns: {}, requests: {}, wires: [], handshake: null };
    try {
        for (const [i, step] of transcript.steps.entries()) {
            const known = Object.keys(step).filter((key) => key in kinds);
            const kind = known.find((key) => key !== 'note') ?? known[0]; // a note may say why
            if (!kind) throw new Error(`${transcript.name}: step ${i + 1} is of no known kind`);
            try {
                await kinds[kind](state, step, transcript.steps[i + 1]);
            } catch (error) {
                const conn = step.conn ? ` on ${step.conn}` : '';
                throw Object.assign(error, { where: `step ${i + 1}: ${kind}${conn}` });
            }
        }
    } finally {
        for (const wire of state.wires) wire.destroy();
    }
}

const kinds = {
    async open(state, { conn, open }, following) {
        const wire = state.conns[conn] = dial(state);
        const key = crypto.randomBytes(16).toString('base64');
        wire.request('GET', fillIn(state, target(open)), handshakeHeaders(state, open, key));
        state.handshake = await answer(wire);
        if (!following?.expect_refused) expectUpgrade(state.handshake, key);
    },

    expect_refused(state, { expect_refused }) {
        expectAnswer(state, expect_refused, state.handshake);
    },
    expect_no_header(state, { expect_no_header }) {
        const value = state.handshake.headers[expect_no_header.toLowerCase()];
        if (value !== undefined)
            throw new Difference(`no header ${expect_no_header}`, `${expect_no_header}: ${value}`);
    },

    send_text: (state, step) => wireOf(state, step).sendText(Buffer.from(step.send_text)),
    send_text_hex: (state, step) => wireOf(state, step).sendText(fromHex(step.send_text_hex)),
    send_hex: (state, step) => wireOf(state, step).sendBinary(fromHex(step.send_hex)),
    send_fill: (state, step) => wireOf(state, step).sendText(filled(step.send_fill)),
    send_fragments: (state, step) =>
        wireOf(state, step).sendFragments(step.send_fragments.map((text) => Buffer.from(text))),
    send_fragments_fill: (state, step) =>
        wireOf(state, step).sendFragments(step.send_fragments_fill.map(filled)),
    send_ping: (state, step) => wireOf(state, step).sendPing(fromHex(step.send_ping)),
    send_raw_hex: (state, step) => wireOf(state, step).write(fromHex(step.send_raw_hex)),
    close: (state, step) => wireOf(state, step).close(step.close.code, step.close.reason),

    expect_text: expectEvent,
    expect_hex: expectEvent,
    expect_pong: expectEvent,

    async expect_unordered(state, step) {
        const missing = [...step.expect_unordered];
        while (missing.length > 0) {
            const event = await wireOf(state, step).next(LIMIT_MS);
            const i = missing.findIndex((expected) => event && matches(state, expected, event));
            if (i < 0) throw new Difference(missing, event);
            missing.splice(i, 1);
        }
    },
    async expect_one_of(state, step) {
        const wire = wireOf(state, step);
        await sleep(ONE_OF_MS);
        const events = wire.events.splice(0);
        const same = (sequence) => sequence.length === events.length
            && sequence.every((expected, i) => matches(state, expected, events[i]));
        if (!step.expect_one_of.some(same)) throw new Difference(step.expect_one_of, events);
    },
    async expect_silence_ms(state, step) {
        const event = await wireOf(state, step).next(step.expect_silence_ms);
        if (event) throw new Difference('silence', event);
    },
    async expect_close(state, step) {
        const wire = wireOf(state, step);
        let event = await wire.next(LIMIT_MS);
        const close = event?.end ? { code: 1006, reason: '' } : event?.close;
        if (!close || !match(step.expect_close, close, state.vars))
            throw new Difference({ close: step.expect_close }, event);
        if (event.close) event = await wire.next(LIMIT_MS);
        if (!event?.end) throw new Difference('the end of the stream after the close frame', event);
    },

    async http(state, { http, expect }) {
        expectAnswer(state, expect, await answer(ask(state, http), POLL_LIMIT_MS));
    },
    http_start(state, { id, http_start }) {
        state.requests[id] = ask(state, http_start);
    },
    async http_finish(state, { http_finish, expect }) {
        expectAnswer(state, expect, await answer(state.requests[http_finish], POLL_LIMIT_MS));
    },
    async raw_http(state, { raw_http, expect }) {
        const wire = dial(state);
        wire.write(Buffer.from(fillIn(state, raw_http), 'latin1'));
        expectAnswer(state, expect, await answer(wire), (value) => value.toLowerCase());
    },

    pause_ms: (state, { pause_ms }) => sleep(pause_ms),
    note() {},
};

// --- WebSocket ---------------------------------------------------------------------------------

function dial(state) {
    const wire = new Wire(state.address);
    state.wires.push(wire);
    return wire;
}

function wireOf(state, { conn }) {
    if (!state.conns[conn]) throw new Error(`connection ${conn} was never opened`);
    return state.conns[conn];
}

function target({ path, params = {}, vsn, query }) {
    const parts = Object.entries(params)
        .map((pair) => pair.map(encodeURIComponent).join('='));
    if (typeof vsn === 'string') parts.push(`vsn=${vsn}`);
    if (query) parts.push(query);
    return parts.length > 0 ? `${path}?${parts.join('&')}` : path;
}

function handshakeHeaders(state, { headers = {}, protocols = [] }, key) {
    const all = {
        'Host': hostOf(state),
        'Connection': 'Upgrade',
        'Upgrade': 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
    };
    if (protocols.length > 0) all['Sec-WebSocket-Protocol'] = protocols.join(', ');
    for (const [name, value] of Object.entries(headers)) all[name] = fillIn(state, value);
    return all;
}

function expectUpgrade({ status, headers, body }, key) {
    const accept = crypto.createHash('sha1')
        .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const upgraded = status === 101
        && headers['upgrade']?.toLowerCase() === 'websocket'
        && headers['connection']?.toLowerCase() === 'upgrade'
        && headers['sec-websocket-accept'] === accept;
    if (!upgraded) throw new Difference('an upgrade to WebSocket', { status, headers, body });
}

async function expectEvent(state, step) {
    const event = await wireOf(state, step).next(LIMIT_MS);
    if (event && matches(state, step, event)) return;
    throw new Difference(step.expect_text ?? step.expect_hex ?? { pong: step.expect_pong }, event);
}

// Is the event what an expect_text, expect_hex or expect_pong asks for?
function matches({ vars }, expected, event) {
    if ('expect_hex' in expected) return event.hex === expected.expect_hex.toLowerCase();
    if ('expect_pong' in expected) return event.pong === expected.expect_pong.toLowerCase();
    if (event.text === undefined) return false;
    const value = parsed(event.text);
    return value !== undefined && match(expected.expect_text, value, vars);
}

// --- HTTP --------------------------------------------------------------------------------------

function hostOf({ address: { host, port } }) {
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function ask(state, { method, path, headers = {}, body, body_fill }) {
    const all = { 'Host': hostOf(state), 'Connection': 'close' };
    for (const [name, value] of Object.entries(headers)) all[name] = fillIn(state, value);
    const bytes = body_fill ? filled(body_fill) : Buffer.from(fillIn(state, body ?? ''));
    if (body !== undefined || body_fill) all['Content-Length'] = bytes.length;
    const wire = dial(state);
    wire.request(method, fillIn(state, path), all, bytes);
    return wire;
}

async function answer(wire, ms = LIMIT_MS) {
    const event = await wire.next(ms);
    if (!event?.response) throw new Difference('an HTTP answer', event);
    return event.response;
}

// `headers` is a subset of those of the answer; `spell` makes two values of a header comparable.
function expectAnswer({ vars }, { status, headers = {}, body }, got, spell = (value) => value) {
    const subset = Object.fromEntries(Object.keys(headers)
        .map((name) => [name, spell(got.headers[name.toLowerCase()] ?? '')]));
    const wanted = Object.fromEntries(Object.entries(headers)
        .map(([name, value]) => [name, spell(value)]));
    const content = typeof body === 'string' ? got.body : withMessages(parsed(got.body));
    const same = got.status === status && match(wanted, subset, vars)
        && (body === undefined || (content !== undefined && match(body, content, vars)));
    if (!same) throw new Difference({ status, headers, body }, got);
}

// Long polling: each message is a string; show what it holds, as transcripts do.
function withMessages(body) {
    if (!Array.isArray(body?.messages)) return body;
    const messages = body.messages.map((text) => {
        const json = typeof text === 'string' ? parsed(text) : undefined;
        return json === undefined ? { text } : { json };
    });
    return { ...body, messages };
}

// --- Values ------------------------------------------------------------------------------------

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

// Does `got` equal `expected`, placeholders apart? What they bind is kept only if all of it does.
function match(expected, got, vars) {
    const trial = { ...vars };
    if (!matchIn(expected, got, trial)) return false;
    Object.assign(vars, trial);
    return true;
}

function matchIn(expected, got, vars) {
    if (typeof expected === 'string') {
        const [, kind, name] = /^\$(any|bind|same)(?::(.*))?$/.exec(expected) ?? [];
        if (kind === 'any') return true;
        if (kind === 'bind') { vars[name] = got; return true; }
        if (kind === 'same') return isDeepStrictEqual(vars[name], got);
    }
    if (expected === null || typeof expected !== 'object') return expected === got;
    if (got === null || typeof got !== 'object') return false;
    if (Array.isArray(expected) !== Array.isArray(got)) return false;
    const keys = Object.keys(expected);
    return keys.length === Object.keys(got).length
        && keys.every((key) => Object.hasOwn(got, key) && matchIn(expected[key], got[key], vars));
}

function fillIn({ vars }, text) {
    return text.replace(/\$\{(\w+)\}/g, (_, name) => vars[name]);
}

module.exports = { play };
