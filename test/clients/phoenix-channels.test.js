// phoenix-channels, a client of the first version of the protocol.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Socket } = require('phoenix-channels');
const { FIXTURE, answer, received, serve, tell } = require('./helpers.js');

const LIMIT = { timeout: 10000 };

async function member(server, topic) {
    const socket = new Socket(`ws://127.0.0.1:${server.port}/socket`);
    socket.connect();
    server.closing.push(() => {
        socket.disconnect();
        clearInterval(socket.heartbeatTimer);   // disconnect() forgets it
    });
    const channel = socket.channel(topic, {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    return channel;
}

test('phoenix-channels joins, broadcasts and leaves', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const [a, b] = [await member(server, 'room:x'), await member(server, 'room:x')];
    const [atA, atB, pushed] = [received(a, 'broadcasted'), received(b, 'broadcasted'),
        received(a, 'pushed')];
    assert.deepEqual(await answer(a.push('params', {})), { ok: { vsn: '1.0.0' } });
    assert.deepEqual(await answer(a.push('echo_error', { no: 1 })), { error: { no: 1 } });
    tell(a, 'push', { p: 1 });
    assert.deepEqual(await pushed.next(), { p: 1 });

    tell(a, 'broadcast', { n: 1 });
    assert.deepEqual(await atA.next(), { n: 1 });
    assert.deepEqual(await atB.next(), { n: 1 });

    assert.deepEqual(await answer(a.leave()), { ok: {} });
    tell(b, 'broadcast', { n: 2 });
    assert.deepEqual(await atB.next(), { n: 2 });
    // Another topic: a phx_close of V1 does not say which join it ends.
    assert.deepEqual(await answer(a.socket.channel('room:y', {}).join()), { ok: {} });
    assert.deepEqual(atA.waiting, []);
});
