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
