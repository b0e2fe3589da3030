// Long polling through a proxy that takes each request to another node: real processes, a real
// Redis, phoenix.js. PROTOCOL: a poll reaches its session on whatever node it is.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { test } = require('node:test');
const { LongPoll, Socket, WebSocket, lacking, startNode, startRedis, until } = require('./helpers.js');

// Takes requests to the living nodes by turns, each on a connection of its own.
async function startProxy(t, nodes) {
    const proxy = { opened: 0, turns: new Map(nodes.map((node) => [node, 0])) };
    let turn = 0;
    const server = http.createServer((request, response) => {
        const node = nodes[turn++ % nodes.length];
        proxy.turns.set(node, proxy.turns.get(node) + 1);
        if (request.method === 'GET' && !/[?&]token=/.test(request.url)) proxy.opened++;
        const { method, url: path, headers } = request;
        const onward = http.request(
            { host: '127.0.0.1', port: node.port, method, path, headers, agent: false },
            (answer) => {
                response.writeHead(answer.statusCode, answer.headers);
                answer.pipe(response);
            });
        onward.on('error', () => response.destroy());
        response.on('close', () => onward.destroy());
        request.pipe(onward);
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    proxy.port = server.address().port;
    proxy.drop = (node) => { nodes.splice(nodes.indexOf(node), 1); };
    t.after(() => {
        server.closeAllConnections();
        return new Promise((resolve) => { server.close(resolve); });
    });
    return proxy;
}

// By a mount where a poll is held for a second: so long a poll waits for a node that has died.
async function join(t, port, transport) {
    const socket = new Socket(`ws://127.0.0.1:${port}/short`, {
        transport, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20,
    });
    socket.connect();
    t.after(() => socket.disconnect());
    const channel = socket.channel('room:x', {}), member = { socket, channel, heard: [] };
    channel.on('broadcasted', ({ n }) => member.heard.push(n));
    await new Promise((resolve, reject) => {
        channel.join().receive('error', reject).receive('ok', resolve);
    });
    return member;
}

const answered = (channel, n) => new Promise((resolve, reject) => {
    channel.push('echo', { n }).receive('ok', resolve).receive('error', reject);
});

// There is no reply, and phoenix.js need not wait long for one.
const broadcast = (member, n) => member.channel.push('broadcast', { n }, 100);

const upTo = (n) => Array.from({ length: n }, (_, i) => i);

test('a session is reached from each node', { timeout: 60000, skip: lacking() }, async (t) => {
    const redis = await startRedis(t);
    const nodes = [await startNode(t, redis, 'a'), await startNode(t, redis, 'b')];
    const [a, b] = nodes, proxy = await startProxy(t, [a, b]);
    const polling = await join(t, proxy.port, LongPoll);
    const near = await join(t, a.port, WebSocket), far = await join(t, b.port, WebSocket);
    for (const n of upTo(20)) {
        assert.deepEqual(await answered(polling.channel, n), { n });
        broadcast(near, 2 * n);
        await until(() => String(polling.heard), () => polling.heard.length === 2 * n + 1);
        broadcast(far, 2 * n + 1);
        await until(() => String(polling.heard), () => polling.heard.length === 2 * n + 2);
    }
    assert.deepEqual(polling.heard, upTo(40)); // each once, in order
    assert.equal(proxy.opened, 1); // by one session
    for (const [node, turns] of proxy.turns) assert.ok(turns > 10, `${node.name}: ${turns} requests`);

    near.socket.disconnect();
    proxy.drop(a); // where the first request went: the session is gone with it
    await a.kill();
    await until(() => `${proxy.opened} sessions`, () => proxy.opened > 1);
    await until(() => String(polling.heard), () => {
        broadcast(far, 40);
        return polling.heard.includes(40); // joined again
    });
});
