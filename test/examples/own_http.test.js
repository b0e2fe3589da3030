'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIMIT, knock, serve } = require('./helpers.js');
const testRoom = require('./room.js');

testRoom('own_http', 200);

test('own_http: the page is the HTTP server\'s own', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const page = await fetch(`http://127.0.0.1:${server.port}/`);
    assert.equal(page.status, 200);
    assert.equal(await page.text(), 'Clients are welcome at /socket.\n');
});

test('own_http: who may not connect is told so by the library', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const stranger = { origin: 'http://example.com' };
    assert.equal((await knock(server, 'vsn=2.0.0', stranger)).status, 403);
    const plain = await fetch(`http://127.0.0.1:${server.port}/socket/websocket`);
    assert.equal(plain.status, 400);
});

test('own_http: long polling through the HTTP server', LIMIT, async (t) => {
    const server = await serve(t, 'own_http');
    const url = `http://127.0.0.1:${server.port}/socket/longpoll?vsn=2.0.0`;
    const poll = async (token) => (await fetch(`${url}&token=${token}`)).json();
    const post = async (token, message) =>
        (await fetch(`${url}&token=${token}`, { method: 'POST', body: JSON.stringify(message) })).json();
    const open = async () => {
        const { status, token } = await poll('');
        assert.equal(status, 410);
        assert.deepEqual(await post(token, ['1', '1', 'room:lobby', 'phx_join', {}]), { status: 200 });
        const { messages } = await poll(token);
        assert.equal(JSON.parse(messages[0])[4].status, 'ok');
        return token;
    };
    const [a, b] = [await open(), await open()];
    const held = poll(a);
    await post(b, ['1', '2', 'room:lobby', 'shout', { text: 'hello' }]);
    const { status, messages } = await held;
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(messages[0]), [null, null, 'room:lobby', 'shout', { text: 'hello' }]);
    const preflight = await fetch(url, { method: 'OPTIONS' });
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'get, post, options');
    assert.deepEqual(await post('nonsense', []), { status: 410 });
});
