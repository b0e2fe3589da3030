// phoenix.js' Presence: after each of these its list is the server's.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { isDeepStrictEqual } = require('node:util');
const { LongPoll, Presence, Socket } = require('phoenix');
const { Socket: SocketV1 } = require('phoenix-channels');
const WebSocket = require('ws');
const { FIXTURE, answer, serve } = require('./helpers.js');

const LIMIT = { timeout: 20000 };
const TOPIC = 'presence:room';

function connect(server, user, transport) {
    const socket = new Socket(`ws://127.0.0.1:${server.port}/socket`, {
        transport, params: { user_id: user }, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20,
    });
    socket.connect();
    server.closing.push(() => socket.disconnect());
    return socket;
}

// A client that has joined and keeps a list.
async function member(server, user, transport = WebSocket) {
    const socket = connect(server, user, transport);
    const channel = socket.channel(TOPIC, {});
    const presence = new Presence(channel);
    const seen = { joins: 0, leaves: 0 };
    presence.onJoin(() => { seen.joins++; });
    presence.onLeave(() => { seen.leaves++; });
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    return { socket, channel, presence, seen, list: () => normal(presence.state) };
}

// Keys, and of each the metas by their phx_ref: their order is the client's affair.
function normal(state) {
    const entries = Object.entries(state).map(([key, { metas, ...more }]) => [key, {
        metas: [...metas].sort((a, b) => (a.phx_ref < b.phx_ref ? -1 : 1)), ...more,
    }]);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function listed(client) {
    const { ok } = await answer(client.channel.push('list', {}));
    return normal(ok);
}

// What others do reaches a client a little later; who waits for more asks again.
async function agree(...clients) {
    const deadline = Date.now() + 5000;
    for (;;) {
        const truth = await listed(clients[0]);
        const other = clients.find((c) => !isDeepStrictEqual(c.list(), truth));
        if (!other) return truth;
        if (Date.now() > deadline) assert.deepEqual(other.list(), truth);
        await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
}

for (const [how, transport] of [['WebSocket', WebSocket], ['long polling', LongPoll]]) {
    test(`users come, change and go (${how})`, LIMIT, async (t) => {
        const server = await serve(t, FIXTURE);
        const ann = await member(server, 'ann', transport);
        assert.deepEqual(Object.keys(await agree(ann)), ['ann']);

        const bob = await member(server, 'bob', transport);
        assert.deepEqual(Object.keys(await agree(ann, bob)), ['ann', 'bob']);

        assert.deepEqual(await answer(bob.channel.push('update', { status: 'away' })), { ok: {} });
        const changed = await agree(ann, bob);
        assert.equal(changed.bob.metas[0].status, 'away');
        assert.match(changed.bob.metas[0].phx_ref_prev, /^[\w-]{16}$/);

        assert.deepEqual(await answer(bob.channel.push('untrack', {})), { ok: {} });
        assert.deepEqual(Object.keys(await agree(ann, bob)), ['ann']);

        await answer(bob.channel.leave());
        assert.deepEqual(Object.keys(await agree(ann)), ['ann']);
        assert.deepEqual(ann.seen, { joins: 3, leaves: 2 });
    });
}

test('one user on several devices', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const ann = await member(server, 'ann');
    const devices = [];
    for (let i = 0; i < 3; i++) devices.push(await member(server, 'bob'));
    assert.equal((await agree(ann, ...devices)).bob.metas.length, 3);

    await answer(devices[1].channel.push('update', { status: 'away' }));
    assert.equal((await agree(ann, ...devices)).bob.metas.length, 3);

    await answer(devices[0].channel.leave());
    assert.equal((await agree(ann, devices[1], devices[2])).bob.metas.length, 2);

    devices[1].socket.disconnect();
    devices[2].socket.disconnect();
    while (ann.presence.state.bob) await agree(ann);
    assert.deepEqual(Object.keys(await agree(ann)), ['ann']);
});

test('connections that break, and come back', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const ann = await member(server, 'ann');
    const bob = await member(server, 'bob');
    const before = (await agree(ann, bob)).bob.metas[0].phx_ref;

    bob.socket.conn.terminate(); // it joins again by itself
    while ((ann.presence.state.bob?.metas[0].phx_ref ?? before) === before) await agree(ann);
    await agree(ann, bob);
    assert.equal(ann.presence.state.bob.metas.length, 1);
});

test('much in one turn', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const ann = await member(server, 'ann');
    const bob = await member(server, 'bob', LongPoll); // what it pushes now goes in one request
    const pushes = [];
    for (let i = 0; i < 20; i++)
        pushes.push(answer(bob.channel.push('update', { status: `${i}`, i })));
    await Promise.all(pushes);
    assert.equal((await agree(ann, bob)).bob.metas[0].i, 19);

    for (const event of ['untrack', 'list', 'untrack']) await answer(bob.channel.push(event, {}));
    await agree(ann, bob);

    const many = await Promise.all(Array.from({ length: 30 }, (_, i) => member(server, `u${i}`)));
    assert.equal(Object.keys(await agree(ann, bob, ...many)).length, 31);
    for (const client of many) client.socket.disconnect();
    while (Object.keys(ann.presence.state).length > 1) await agree(ann);
    await agree(ann, bob);
});

test('awkward keys', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const ann = await member(server, 'ann');
    const keys = ['', 'żółw', '"\\\u0001', 'metas', '12', '\u2028', 'a'.repeat(255)];
    const others = [];
    for (const key of keys) others.push(await member(server, key));
    assert.deepEqual(Object.keys(await agree(ann, ...others)).sort(), ['ann', ...keys].sort());

    // Not shown to anybody: they would break every page.
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'a'.repeat(256)])
        others.push(await member(server, key));
    assert.deepEqual(Object.keys(await agree(ann, ...others)).sort(), ['ann', ...keys].sort());
});

test('a client of version 1 is told the same', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const ann = await member(server, 'ann');
    const socket = new SocketV1(`ws://127.0.0.1:${server.port}/socket`, {
        transport: WebSocket, params: { user_id: 'old' },
    });
    socket.connect();
    server.closing.push(() => {
        socket.disconnect();
        clearInterval(socket.heartbeatTimer); // disconnect() forgets it
    });
    const channel = socket.channel(TOPIC, {});
    let state = {};
    channel.on('presence_state', (whole) => { state = Presence.syncState(state, whole); });
    channel.on('presence_diff', (diff) => { state = Presence.syncDiff(state, diff); });
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    const old = { channel, list: () => normal(state) };

    await agree(ann, old);
    await answer(ann.channel.push('update', { status: 'away' }));
    await agree(ann, old);
    await answer(ann.channel.push('untrack', {}));
    assert.deepEqual(Object.keys(await agree(ann, old)), ['old']);
});
