// phoenix.js, as it comes from npm, over WebSocket and by long polling.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LongPoll, Socket } = require('phoenix');
const WebSocket = require('ws');
const { FIXTURE, REALTIME, answer, inbox, received, serve, tell } = require('./helpers.js');

const LIMIT = { timeout: 10000 };
const SOON = () => 20;

function connect(server, options = {}) {
    const socket = new Socket(`ws://127.0.0.1:${server.port}/socket`, {
        transport: server.transport, reconnectAfterMs: SOON, rejoinAfterMs: SOON, ...options,
    });
    socket.connect();
    server.closing.push(() => socket.disconnect());
    return socket;
}

// The same by both: what the server of a test is to be reached by is written on it.
function check(name, play) {
    for (const [how, transport] of [['WebSocket', WebSocket], ['long polling', LongPoll]])
        test(`${name} (${how})`, LIMIT, async (t) => {
            await play(Object.assign(await serve(t, FIXTURE), { transport }), t);
        });
}

// A client that has joined the topic.
async function member(server, topic) {
    const channel = connect(server).channel(topic, {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    return channel;
}

check('phoenix.js joins, pushes and receives', async (server) => {
    const socket = connect(server, { params: { user_id: 'u 1' } });
    const channel = socket.channel('room:lobby', { reply: { welcome: ['ż', null, 1.5] } });
    const pushed = received(channel, 'pushed');
    assert.deepEqual(await answer(channel.join()), { ok: { welcome: ['ż', null, 1.5] } });
    assert.deepEqual(await answer(channel.push('echo', { a: [1] })), { ok: { a: [1] } });
    assert.deepEqual(await answer(channel.push('echo_error', { b: 2 })), { error: { b: 2 } });
    assert.deepEqual(await answer(channel.push('async', { c: 3 })), { ok: { c: 3 } });
    assert.deepEqual(await answer(channel.push('params', {})),
        { ok: { user_id: 'u 1', vsn: '2.0.0' } });
    tell(channel, 'push', { d: 4 });
    assert.deepEqual(await pushed.next(), { d: 4 });
});

check('phoenix.js is told why it may not join', async (server) => {
    const socket = connect(server);
    for (const [topic, reason] of [['room:forbidden', 'unauthorized'],
        ['room:raise', 'join crashed'], ['nosuch', 'unmatched topic']]) {
        const channel = socket.channel(topic, {});
        assert.deepEqual(await answer(channel.join()), { error: { reason } });
        channel.leave();
    }
});

check('phoenix.js broadcasts to others', async (server) => {
    const [a, b] = [await member(server, 'room:x'), await member(server, 'room:x')];
    const [atA, atB] = [received(a, 'broadcasted'), received(b, 'broadcasted')];
    tell(a, 'broadcast', { n: 1 });
    assert.deepEqual(await atA.next(), { n: 1 });
    assert.deepEqual(await atB.next(), { n: 1 });

    tell(b, 'broadcast_from', { n: 2 });
    assert.deepEqual(await atA.next(), { n: 2 });
    await answer(b.push('ok', {}));
    assert.deepEqual(atB.waiting, []);

    const [shoutAtA, shoutAtB] = [received(a, 'shout'), received(b, 'shout')];
    tell(a, 'shout', { n: 3 });
    assert.deepEqual(await shoutAtA.next(), { n: 3, via: 'out' });
    assert.deepEqual(await shoutAtB.next(), { n: 3, via: 'out' });
});

test('phoenix.js sends and receives bytes', LIMIT, async (t) => {
    const server = Object.assign(await serve(t, FIXTURE), { transport: WebSocket });
    const [a, b] = [await member(server, 'room:x'), await member(server, 'room:x')];
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
    const same = (buffer) => assert.deepEqual(new Uint8Array(buffer), bytes);
    const [pushed, atA, atB] = [received(a, 'binary_pushed'),
        received(a, 'binary_broadcasted'), received(b, 'binary_broadcasted')];
    same((await answer(a.push('binary_echo', bytes.buffer))).ok);
    tell(a, 'binary_push', bytes.buffer);
    same(await pushed.next());
    tell(a, 'binary_broadcast', bytes.buffer);
    same(await atA.next());
    same(await atB.next());
});

check('phoenix.js leaves and hears no more', async (server) => {
    const [a, b] = [await member(server, 'room:x'), await member(server, 'room:x')];
    const [atA, atB] = [received(a, 'broadcasted'), received(b, 'broadcasted')];
    const closed = inbox();
    a.onClose(closed.add);
    assert.deepEqual(await answer(a.leave()), { ok: {} });
    await closed.next();
    tell(b, 'broadcast', { n: 1 });
    assert.deepEqual(await atB.next(), { n: 1 });

    const again = a.socket.channel('room:x', {});
    assert.deepEqual(await answer(again.join()), { ok: {} });
    assert.deepEqual(await answer(again.push('count', {})), { ok: { count: 1 } });
    assert.deepEqual(atA.waiting, []);
});

check('phoenix.js rejoins after phx_error', async (server) => {
    const channel = await member(server, 'room:x');
    const [failed, joined] = [inbox(), inbox()];
    channel.onError(failed.add);
    channel.joinPush.receive('ok', joined.add);
    await joined.next();        // the join that is over calls back at once
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
    tell(channel, 'crash', {});
    await failed.next();
    await joined.next();
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
});

check('phoenix.js finds a restarted server and sends what waited once', async (server, t) => {
    const channel = await member(server, 'room:x');
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
    const lost = inbox();
    channel.socket.onClose(lost.add);
    assert.equal(await server.end('SIGKILL'), 'SIGKILL');
    await lost.next();

    const answers = [1, 2, 3].map(() => answer(channel.push('count', {})));
    await serve(t, FIXTURE, server.port);
    assert.deepEqual(await Promise.all(answers), [1, 2, 3].map((count) => ({ ok: { count } })));
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 4 } });
});

// The token travels among the subprotocols; the server answers "phoenix", or ws drops the connection.
// By long polling it has a header of its own.
async function bringToken(t, transport, subprotocol) {
    const server = await serve(t, REALTIME);
    const enter = (authToken) => {
        const socket = new Socket(`ws://127.0.0.1:${server.port}/auth`, {
            transport, authToken, reconnectAfterMs: SOON,
        });
        server.closing.push(() => socket.disconnect());
        return socket;
    };
    for (const token of ['let me in', 'let me in>>>', 'let me in!']) {
        const socket = enter(token);
        socket.connect();
        assert.deepEqual(await answer(socket.channel('auth', {}).join()),
            { ok: { token, subprotocol } });
    }
    for (const token of ['let nobody in', undefined]) {
        const [socket, failed] = [enter(token), inbox()];
        socket.onError(failed.add);
        socket.connect();
        await failed.next();
        assert.equal(socket.isConnected(), false);
        socket.disconnect();
    }
}

test('phoenix.js brings a token (WebSocket)', LIMIT, (t) => bringToken(t, WebSocket, 'phoenix'));
test('phoenix.js brings a token (long polling)', LIMIT, (t) => bringToken(t, LongPoll, ''));

test('phoenix.js sends bytes by long polling', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const a = await member(Object.assign(server, { transport: LongPoll }), 'room:x');
    const b = await member(Object.assign(server, { transport: WebSocket }), 'room:x');
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
    const [atA, atB] = [received(a, 'binary_broadcasted'), received(b, 'binary_broadcasted')];
    tell(a, 'binary_broadcast', bytes.buffer);
    assert.deepEqual(new Uint8Array(await atB.next()), bytes);
    assert.deepEqual(await answer(a.push('ok', bytes.buffer)), { ok: {} });
    assert.deepEqual(await answer(a.push('ok', {})), { ok: {} });
    assert.deepEqual(atA.waiting, []); // they cannot be sent to it
});

test('phoenix.js by long polling is sent much at once, in order', LIMIT, async (t) => {
    const server = Object.assign(await serve(t, FIXTURE), { transport: LongPoll });
    const channel = await member(server, 'room:x');
    const items = received(channel, 'item');
    const answers = Array.from({ length: 250 }, () => answer(channel.push('count', {})));
    assert.deepEqual(await answer(channel.push('push_many', { n: 1000 })), { ok: {} });
    for (let i = 1; i <= 1000; i++) assert.deepEqual(await items.next(), { i });
    assert.deepEqual(await Promise.all(answers),
        answers.map((_, i) => ({ ok: { count: i + 1 } })));
});

test('phoenix.js opens a new session when its own has ended', LIMIT, async (t) => {
    const server = Object.assign(await serve(t, FIXTURE), { transport: LongPoll });
    const channel = connect(server, { params: { user_id: 'u' } }).channel('room:x', {});
    const [closed, joined] = [inbox(), inbox()];
    channel.socket.onClose(closed.add);
    channel.join().receive('ok', joined.add);
    await joined.next();
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
    tell(channel, 'disconnect_me', {});
    assert.equal((await closed.next()).code, 3410);
    await joined.next();
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
});

test('phoenix.js falls back to long polling and remembers it', LIMIT, async (t) => {
    const server = await serve(t, FIXTURE);
    const session = new Map();
    const sessionStorage = {
        getItem: (key) => session.get(key) ?? null, setItem: (key, value) => session.set(key, value),
    };
    class Blocked { // as a proxy does it that lets no WebSocket through
        constructor(url) { return new WebSocket(url.replace('/websocket', '/nothing')); }
    }
    server.transport = Blocked;
    for (const remembered of [null, 'true']) {
        assert.equal(sessionStorage.getItem('phx:fallback:LongPoll'), remembered);
        const socket = connect(server, { longPollFallbackMs: 2000, sessionStorage });
        const channel = socket.channel('room:x', {});
        assert.deepEqual(await answer(channel.join()), { ok: {} });
        assert.equal(socket.transport, LongPoll);
        assert.deepEqual(await answer(channel.push('echo', { a: 1 })), { ok: { a: 1 } });
        socket.disconnect();
    }
});

test('phoenix.js is told of a restart and comes back', LIMIT, async (t) => {
    const server = Object.assign(await serve(t, FIXTURE), { transport: WebSocket });
    const channel = await member(server, 'room:x');
    const [lost, joined, ended] = [inbox(), inbox(), inbox()];
    channel.socket.onClose(lost.add);
    channel.joinPush.receive('ok', joined.add);
    channel.onClose(ended.add);
    const end = server.end('SIGTERM');
    assert.equal((await lost.next()).code, 1012);
    assert.equal(await end, 0);
    joined.waiting.length = 0;

    await serve(t, FIXTURE, server.port);
    await joined.next();
    assert.deepEqual(await answer(channel.push('count', {})), { ok: { count: 1 } });
    assert.equal(ended.waiting.length, 0);
});
