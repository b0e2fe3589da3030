// The chat on several nodes as its demo starts it: a script, a Redis and two servers.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { test } = require('node:test');
const { EXAMPLES, ROOT, answer, connect, received } = require('./helpers.js');

const LIMIT = { timeout: 30000 };
const SCRIPT = path.join(ROOT, 'examples', 'chat', 'cluster.sh');

async function freePorts(count) {
    const servers = [];
    for (let i = 0; i < count; i++) {
        servers.push(net.createServer());
        await new Promise((resolve) => { servers[i].listen(0, '127.0.0.1', resolve); });
    }
    const ports = servers.map((server) => server.address().port);
    await Promise.all(servers.map((server) => new Promise((resolve) => { server.close(resolve); })));
    return ports;
}

// Runs the script until the test ends: { ports, said, ended, closing, until }, where `until` waits
// for words on either of its outputs and gives what they caught.
async function cluster(t, { ports, env = process.env } = {}) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-'));
    const demo = { ports: ports ?? await freePorts(3), said: '', closing: [] };
    const child = spawn(SCRIPT, [path.join(EXAMPLES, 'chat'), dir, ...demo.ports],
                        { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const waiting = new Set();
    for (const output of [child.stdout, child.stderr])
        readline.createInterface({ input: output }).on('line', (line) => {
            demo.said += `${line}\n`;
            for (const look of waiting) look();
        });
    demo.until = (words) => new Promise((resolve) => {
        const look = () => {
            const found = words.exec(demo.said);
            if (!found) return;
            waiting.delete(look);
            resolve(found);
        };
        waiting.add(look);
        look();
    });
    demo.kill = (signal) => child.kill(signal);
    demo.ended = new Promise((resolve) => { child.once('close', resolve); });
    t.after(async () => {
        for (const close of demo.closing) close();
        child.kill('SIGTERM');
        await demo.ended;
        fs.rmSync(dir, { recursive: true });
    });
    return demo;
}

const pidOf = async (demo, node) =>
    Number((await demo.until(new RegExp(`node ${node}, process (\\d+)`)))[1]);

// Someone in room:lobby of a node: { channel, join, hears }, with what the join was answered and what
// waits for the message of that uuid.
async function enter(demo, port, name, params = {}) {
    const session = await fetch(`http://127.0.0.1:${port}/session?name=${name}`, { method: 'POST' });
    const token = await session.text();
    const channel = connect({ port, closing: demo.closing }, { token })
        .channel('room:lobby', params);
    const heard = received(channel, 'new_msg');
    const hears = async (uuid) => {
        for (;;) {
            const message = await heard.next();
            if (message.uuid === uuid) return message;
        }
    };
    const { ok: join } = await answer(channel.join());
    return { channel, hears, join };
}

async function namesOn(port) {
    const list = await (await fetch(`http://127.0.0.1:${port}/who?room=lobby`)).json();
    return Object.keys(list).sort();
}

async function untilNames(port, names) {
    while (String(await namesOn(port)) !== String(names))
        await new Promise((resolve) => { setTimeout(resolve, 20); });
}

function isAlive(pid) {
    try {
        return process.kill(pid, 0);
    } catch {
        return false;
    }
}

test('two nodes are one chat, and Ctrl-C ends all', LIMIT, async (t) => {
    const demo = await cluster(t);
    await demo.until(/Ctrl-C ends both/);
    const [a, b] = demo.ports;
    const pids = [await pidOf(demo, 'a'), await pidOf(demo, 'b')];
    const ada = await enter(demo, a, 'Ada');
    const bob = await enter(demo, b, 'Bob');
    for (const port of [a, b]) await untilNames(port, ['@Ada', '@Bob']);
    const { ok: sent } = await answer(ada.channel.push('new_msg', { uuid: 'u1', text: 'hello' }));
    const got = await bob.hears('u1');
    for (const key of ['uuid', 'name', 'text', 'at']) assert.equal(got[key], sent[key]);

    demo.kill('SIGINT');
    assert.equal(await demo.ended, 0, demo.said);
    assert.deepEqual(pids.filter(isAlive), []);
    await assert.rejects(new Promise((resolve, reject) => {
        net.connect(demo.ports[2], '127.0.0.1').on('connect', resolve).on('error', reject);
    }), { code: 'ECONNREFUSED' }, 'Redis is gone too');
});

test('the ids of one node say nothing on another', LIMIT, async (t) => {
    const demo = await cluster(t);
    await demo.until(/Ctrl-C ends both/);
    const [a, b] = demo.ports;
    const ada = await enter(demo, a, 'Ada');
    const bob = await enter(demo, b, 'Bob');
    assert.deepEqual([ada.join.node, bob.join.node], ['a', 'b']);
    for (const port of [a, b]) await untilNames(port, ['@Ada', '@Bob']);
    for (const [who, other, uuid] of [[ada, bob, 'u1'], [bob, ada, 'u2'], [ada, bob, 'u3']]) {
        await answer(who.channel.push('new_msg', { uuid, text: uuid }));
        await other.hears(uuid);
    }
    const last = (page) => page.messages.map(({ uuid }) => uuid);
    const seen = { last_seen_id: bob.join.messages.length + 2 };
    assert.deepEqual(last((await enter(demo, b, 'Eve', { ...seen, node: 'b' })).join), ['u3']);
    assert.deepEqual(last((await enter(demo, b, 'Eve', { ...seen, node: 'a' })).join),
                     ['u1', 'u2', 'u3']);
    assert.deepEqual(last((await enter(demo, a, 'Eve', { ...seen, node: 'b' })).join),
                     ['u1', 'u2', 'u3']);
    const again = await answer(bob.channel.push('new_msg', { uuid: 'u1', text: 'u1' }));
    assert.equal(again.ok.name, 'Ada', 'what was stored by the other node is stored once');
});

test('a node that dies is told, and the others go on', LIMIT, async (t) => {
    const demo = await cluster(t);
    await demo.until(/Ctrl-C ends both/);
    const [a, b] = demo.ports;
    await enter(demo, a, 'Ada');
    const bob = await enter(demo, b, 'Bob');
    await untilNames(b, ['@Ada', '@Bob']);
    process.kill(await pidOf(demo, 'a'), 'SIGKILL');
    await demo.until(/This has ended; to start it again: .* --port \d+ --node a /);
    await untilNames(b, ['@Bob']);
    assert.ok((await answer(bob.channel.push('new_msg', { uuid: 'u', text: 'x' }))).ok);
    process.kill(await pidOf(demo, 'b'), 'SIGSTOP');
    demo.kill('SIGTERM');
    assert.equal(await demo.ended, 0, 'also with one that is suspended');
});

test('what cannot start is said, and nothing is left behind', LIMIT, async (t) => {
    const taken = net.createServer();
    await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
    t.after(() => taken.close());
    const [one, two] = await freePorts(2);
    const { port } = taken.address();
    for (const [ports, words] of [
        [[one, two, port], /Failed listening|Address already in use[^]*redis-server/],
        [[port, one, two], /Address already in use[^]*does not start: .* --node a /],
        [[one, port, two], /Address already in use[^]*does not start: .* --node b /],
    ]) {
        const demo = await cluster(t, { ports });
        assert.equal(await demo.ended, 1);
        assert.match(demo.said, words);
    }
    const none = await cluster(t, { env: { PATH: '/nonexistent' } });
    assert.notEqual(await none.ended, 0);
    assert.match(none.said, /there is no redis-server/);
});
