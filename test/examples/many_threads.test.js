'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const helpers = require('../clients/helpers.js');
const { LIMIT, EXAMPLES, LongPoll, answer, connect, received } = require('./helpers.js');
const testRoom = require('./room.js');

const THREADS = 3;

testRoom('many_threads', 200);

// A channel of a new client, by the number of the thread that the client came to.
async function arrive(server) {
    const channel = connect(server).channel('room:lobby', {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    const { ok: { thread } } = await answer(channel.push('where', {}));
    assert.ok(thread >= 1 && thread <= THREADS);
    return [thread, channel];
}

test('many_threads: a room is one room on all threads', LIMIT, async (t) => {
    const server = await helpers.serve(t,
        [path.join(EXAMPLES, 'many_threads'), '--threads', String(THREADS), '0']);
    const channels = new Map();
    while (channels.size < THREADS) channels.set(...await arrive(server));
    const heard = [...channels.values()].map((channel) => received(channel, 'shout'));
    for (const [thread, channel] of channels)
        for (let n = 0; n < 100; n++) channel.push('shout', { thread, n });
    for (const each of heard) {
        const next = new Map();
        for (let i = 0; i < THREADS * 100; i++) {
            const { thread, n } = await each.next();
            assert.equal(n, next.get(thread) ?? 0);
            next.set(thread, n + 1);
        }
        assert.deepEqual(each.waiting, []);
    }
});

// A fetch whose requests each have a connection of their own, and so come to any thread.
function fetchAnew(url, { method, headers, body, signal }) {
    fetchAnew.requests++;
    return new Promise((resolve, reject) => {
        const request = http.request(url, { method, headers, signal, agent: false }, async (response) => {
            let text = '';
            for await (const bytes of response) text += bytes;
            resolve({ text: async () => text });
        });
        request.on('error', reject);
        request.end(body);
    });
}

test('many_threads: requests of long polling come to any thread', LIMIT, async (t) => {
    const { fetch } = globalThis;
    t.after(() => { globalThis.fetch = fetch; });
    globalThis.fetch = fetchAnew;
    fetchAnew.requests = 0;
    const server = await helpers.serve(t,
        [path.join(EXAMPLES, 'many_threads'), '--threads', String(THREADS), '0']);
    const socket = connect(server, {}, LongPoll);
    let opened = 0;
    socket.onOpen(() => { opened++; });
    const channel = socket.channel('room:lobby', {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    const shouts = received(channel, 'shout');
    const { ok: { thread } } = await answer(channel.push('where', {}));
    for (let n = 0; n < 50; n++) {
        assert.deepEqual(await answer(channel.push('where', {})), { ok: { thread } });
        await answer(channel.push('shout', { n }));
        assert.deepEqual(await shouts.next(), { n });
    }
    assert.deepEqual(shouts.waiting, []);
    assert.equal(opened, 1); // one session all the time,
    assert.ok(fetchAnew.requests > 200); // that one thread was not asked for by chance alone
});
