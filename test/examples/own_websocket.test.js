'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIMIT, answer, connect, inbox, knock, received, serve } = require('./helpers.js');
const testRoom = require('./room.js');

testRoom('own_websocket', 200);

test('own_websocket: a message arrives in pieces', LIMIT, async (t) => {
    const { ws, end } = await knock(await serve(t, 'own_websocket'), 'vsn=2%2E0%2E0');
    const heard = inbox();
    ws.on('message', (data) => heard.add(JSON.parse(data)));
    const text = 'x'.repeat(100000);
    const join = JSON.stringify(['1', '1', 'room:lobby', 'phx_join', { text }]);
    for (let at = 0; at < join.length; at += 30000)
        ws.send(join.slice(at, at + 30000), { fin: at + 30000 >= join.length });
    assert.deepEqual(await heard.next(),
        ['1', '1', 'room:lobby', 'phx_reply', { status: 'ok', response: {} }]);
    await end();
});

test('own_websocket: bytes go both ways', LIMIT, async (t) => {
    const server = await serve(t, 'own_websocket');
    const channel = connect(server).channel('room:lobby', {});
    const heard = received(channel, 'shout');
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    assert.deepEqual(await answer(channel.push('shout', Uint8Array.of(0, 255).buffer)), { ok: {} });
    assert.deepEqual(new Uint8Array(await heard.next()), Uint8Array.of(0, 255));
});

test('own_websocket: what cannot be understood ends the client', LIMIT, async (t) => {
    const server = await serve(t, 'own_websocket');
    for (const [message, code] of [['{', 1011], ['x'.repeat((1 << 20) + 1), 1009]]) {
        const { ws, closed } = await knock(server, 'vsn=2.0.0');
        ws.send(message);
        assert.equal(await closed, code);
    }
});

test('own_websocket: who may not connect is answered', LIMIT, async (t) => {
    const server = await serve(t, 'own_websocket');
    const stranger = { origin: 'http://example.com' };
    assert.equal((await knock(server, 'vsn=2.0.0', stranger)).status, 403);
    assert.equal((await knock(server, 'vsn=3.0.0')).status, 403);
    assert.equal((await knock(server, 'vsn=2.0.0', {}, '/nosuch/websocket')).status, 404);
});
