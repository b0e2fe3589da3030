// @supabase/realtime-js, a client written anew by others. Spoken to without their extensions.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const WebSocket = require('ws');
const { REALTIME, inbox, serve } = require('./helpers.js');

const SKIP = Number(process.versions.node.split('.')[0]) < 20 && 'needs Node 20';

function connect(server) {
    const { RealtimeClient } = require('@supabase/realtime-js');
    const client = new RealtimeClient(`ws://127.0.0.1:${server.port}/socket`, {
        params: { apikey: 'none' }, transport: WebSocket, vsn: '1.0.0',
    });
    server.closing.push(() => client.disconnect());
    return client;
}

// A channel the client has joined, and what it is told there.
async function join(client, topic) {
    const channel = client.channel(topic, { config: { broadcast: { ack: true } } });
    const [messages, states] = [inbox(), inbox()];
    channel.on('broadcast', { event: 'said' }, messages.add);
    channel.subscribe(states.add);
    assert.equal(await states.next(), 'SUBSCRIBED');
    return { client, channel, messages, states };
}

function say(channel, payload) {
    return channel.send({ type: 'broadcast', event: 'said', payload });
}

test('realtime-js joins, broadcasts and leaves', { timeout: 10000, skip: SKIP }, async (t) => {
    const server = await serve(t, REALTIME);
    const a = await join(connect(server), 'room');
    const b = await join(connect(server), 'room');
    assert.equal(await say(a.channel, { text: 'zażółć', n: [1] }), 'ok');
    assert.deepEqual(await b.messages.next(),
        { type: 'broadcast', event: 'said', payload: { text: 'zażółć', n: [1] } });
    assert.equal(await say(b.channel, { n: 2 }), 'ok');
    assert.deepEqual((await a.messages.next()).payload, { n: 2 });
    assert.deepEqual(b.messages.waiting, []);

    assert.equal(await b.channel.unsubscribe(), 'ok');
    assert.equal(await b.states.next(), 'CLOSED');
    assert.equal(await say(a.channel, { n: 3 }), 'ok');
    await join(b.client, 'other');
    assert.deepEqual(b.messages.waiting, []);
});
