'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const helpers = require('../clients/helpers.js');
const { LIMIT, EXAMPLES, answer, connect, received } = require('./helpers.js');
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
