'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { LIMIT, answer, connect, knock, received, serve } = require('./helpers.js');

test('own_http: the page is the HTTP server\'s own', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const page = await fetch(`http://127.0.0.1:${server.port}/`);
    assert.equal(page.status, 200);
    assert.equal(await page.text(), 'Clients are welcome at /socket.\n');
});

test('own_http: clients that were handed over hear each other', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const [a, b] = [1, 2].map(() => connect(server).channel('room:lobby', {}));
    for (const channel of [a, b]) assert.deepEqual(await answer(channel.join()), { ok: {} });
    const heard = received(b, 'shout');
    assert.deepEqual(await answer(a.push('shout', { text: 'hello' })), { ok: {} });
    assert.deepEqual(await heard.next(), { text: 'hello' });
});

// Its socket is not read from meanwhile, so the server has to wait until it can go on writing.
test('own_http: more is written than the kernel takes at once', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const channel = connect(server).channel('room:lobby', {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    const heard = received(channel, 'shout');
    const stream = channel.socket.conn._socket;
    stream.pause();
    const text = 'x'.repeat(400000);
    const answers = Array.from({ length: 40 },
        (_, n) => answer(channel.push('shout', { n, text })));
    await setTimeout(500);
    stream.resume();
    for (let n = 0; n < 40; n++) assert.deepEqual(await heard.next(), { n, text });
    for (const reply of await Promise.all(answers)) assert.deepEqual(reply, { ok: {} });
});

test('own_http: clients come and go', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    for (let i = 0; i < 200; i++) {
        const { status, end } = await knock(server, 'vsn=2.0.0');
        assert.equal(status, 101);
        await end();
    }
});

test('own_http: who may not connect is told so by the library', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const stranger = { origin: 'http://example.com' };
    assert.equal((await knock(server, 'vsn=2.0.0', stranger)).status, 403);
    const plain = await fetch(`http://127.0.0.1:${server.port}/socket/websocket`);
    assert.equal(plain.status, 400);
});
