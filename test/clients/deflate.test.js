// phoenix.js on `ws`, which has messages compressed: what the two have agreed on, and that channels
// are what they are without.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Socket } = require('phoenix');
const WebSocket = require('ws');
const { FIXTURE, answer, received, serve, tell } = require('./helpers.js');

const LIMIT = { timeout: 10000 };
const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const rows = (n) => Array.from({ length: n }, (_, i) => ({ id: i, name: `user ${i % 7}`, ż: null }));

// A client that has joined. `deflate` is what ws is told of compression; `answered` the extension
// that was agreed on, `heard()` the bytes that came since it was last asked.
async function member(server, deflate) {
    let stream, answered, before = 0;
    class Watched extends WebSocket {
        constructor(url, protocols) {
            super(url, protocols, { perMessageDeflate: deflate });
            this.on('upgrade', (response) => {
                stream = response.socket;
                answered = response.headers['sec-websocket-extensions'];
            });
        }
    }
    const socket = new Socket(`ws://127.0.0.1:${server.port}/socket`, { transport: Watched });
    socket.connect();
    server.closing.push(() => socket.disconnect());
    const channel = socket.channel('room:x', {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    const heard = () => {
        const n = stream.bytesRead - before;
        before = stream.bytesRead;
        return n;
    };
    heard();
    return { channel, answered, heard };
}

const compressing = (t) => serve(t, [FIXTURE, '--port', '0', '--compress', '6']);

for (const [name, deflate, agreed] of [
    ['as it comes', {}, AGREED],
    ['all of it', { threshold: 0 }, AGREED],
    ['with small windows', { threshold: 0, serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
        `${AGREED}; server_max_window_bits=9`]])
    test(`phoenix.js has messages compressed, ${name}`, LIMIT, async (t) => {
        const { channel, answered, heard } = await member(await compressing(t), deflate);
        assert.equal(answered, agreed);
        for (const payload of [{}, { a: [1, 'ż'] }, { rows: rows(10) }, { rows: rows(1000) }]) {
            assert.deepEqual(await answer(channel.push('echo', payload)), { ok: payload });
            const size = JSON.stringify(payload).length, n = heard();
            assert.ok(size < 200 || n < size / 2, `${n} bytes for ${size}`);
        }
        const bytes = new TextEncoder().encode('to be, or not to be '.repeat(50)).buffer;
        const { ok } = await answer(channel.push('binary_echo', bytes));
        assert.deepEqual(Buffer.from(ok), Buffer.from(bytes));
        assert.ok(heard() < 200);
    });

test('a broadcast goes to who has it compressed and to who has not', LIMIT, async (t) => {
    const server = await compressing(t), payload = { rows: rows(100) };
    const size = JSON.stringify(payload).length;
    const members = [];
    for (const deflate of [{}, false, { serverMaxWindowBits: 9 }, {}])
        members.push(await member(server, deflate));
    const boxes = members.map(({ channel }) => received(channel, 'broadcasted'));
    tell(members[0].channel, 'broadcast', payload);
    for (const box of boxes) assert.deepEqual(await box.next(), payload);
    const heard = members.map((one) => one.heard());
    assert.equal(members[1].answered, undefined);
    assert.ok(heard[1] > size, `${heard}`);
    for (const i of [0, 2, 3]) assert.ok(heard[i] < size / 2, `${heard}`);
});

test('nothing is compressed unless the server wants it', LIMIT, async (t) => {
    const { channel, answered, heard } = await member(await serve(t, FIXTURE), { threshold: 0 });
    const payload = { rows: rows(100) };
    assert.equal(answered, undefined);
    assert.deepEqual(await answer(channel.push('echo', payload)), { ok: payload });
    assert.ok(heard() > JSON.stringify(payload).length);
});
