// A Redis, nodes of the fixture that it joins, and phoenix.js clients with their Presence.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { spawn, spawnSync } = require('node:child_process');
const { createRequire } = require('node:module');
const { setTimeout: sleep } = require('node:timers/promises');
const { start } = require('../conformance/server.js');

const clients = createRequire(require.resolve('../clients/package.json'));
const { LongPoll, Presence, Socket } = clients('phoenix');
const WebSocket = clients('ws');

const ROOT = path.join(__dirname, '..', '..');
const FIXTURE = process.env.FIXTURE ?? path.join(ROOT, 'build', 'fixture');
const LIMIT_MS = 20000;

// Why these tests cannot run here; false: they can.
function lacking() {
    const redis = spawnSync('redis-server', ['--version']);
    if (redis.error) return 'needs redis-server';
    const fixture = spawnSync(FIXTURE, ['--redis', '1', '--port']);
    return /--redis/.test(fixture.stderr) ? false : 'needs libchannels-redis';
}

// Until fn() is true; it is asked again and again. what() says how it stands.
async function until(what, fn, limit = LIMIT_MS) {
    for (const end = Date.now() + limit; !fn();) {
        assert.ok(Date.now() < end, `not within ${limit} ms: ${what()}`);
        await sleep(10);
    }
}

// --- Processes -----------------------------------------------------------------------------------

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

const redises = new Set();
process.on('exit', () => { for (const child of redises) child.kill('SIGKILL'); });

// One that keeps nothing. `signal(name)`; `end()` kills it; `again()` starts it on the same port.
async function startRedis(t) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'channels-redis-'));
    const redis = { port: await freePort() };
    let child, ended;

    async function run() {
        child = spawn('redis-server', ['--port', String(redis.port), '--bind', '127.0.0.1',
            '--save', '', '--appendonly', 'no', '--dir', dir, '--daemonize', 'no'],
        { stdio: ['ignore', 'pipe', 'inherit'] });
        redises.add(child);
        ended = new Promise((resolve) => { child.once('exit', resolve); });
        ended.then(redises.delete.bind(redises, child));
        await new Promise((resolve, reject) => {
            readline.createInterface({ input: child.stdout }).on('line', (line) => {
                if (/Ready to accept connections/.test(line)) resolve();
            });
            ended.then(() => reject(new Error('redis-server ended')));
        });
    }
    redis.signal = (name) => child.kill(name);
    redis.end = async () => {
        child.kill('SIGKILL');
        await ended;
    };
    redis.again = run;
    await run();
    t.after(async () => {
        await redis.end();
        fs.rmSync(dir, { recursive: true });
    });
    return redis;
}

// Presence goes ten times as fast and more, unless `times` says otherwise. A node ends with its
// test; `kill()` is SIGKILL, `stop()` SIGTERM.
const QUICK = { broadcast: 100, down: 1500 };

async function startNode(t, redis, name, { times = QUICK, crowd = 0 } = {}) {
    const node = await start([FIXTURE, '--port', '0', '--node', name,
        '--redis', String(redis.port), '--broadcast-ms', String(times.broadcast),
        '--down-ms', String(times.down), '--crowd', String(crowd)]);
    let ended = null;
    node.name = name;
    node.members = new Set();
    node.kill = () => {
        ended ??= node.end('SIGKILL');
        return ended;
    };
    node.stop = () => {
        ended ??= node.end('SIGTERM');
        return ended;
    };
    t.after(async () => {
        for (const member of node.members) member.leave();
        const how = await node.stop();
        assert.ok(how === 0 || how === 'SIGKILL', `${name} ended with ${how}`);
    });
    return node;
}

// --- Clients -------------------------------------------------------------------------------------

// Every join and leave of a list, by phx_ref: each joins once and leaves once.
class Refs {
    constructor() {
        this.here = new Set();
        this.joins = this.leaves = 0;
    }

    static all(half) { return Object.values(half).flatMap(({ metas }) => metas); }

    state(state) { this.here = new Set(Refs.all(state).map((meta) => meta.phx_ref)); }

    diff({ joins, leaves }) {
        for (const { phx_ref: ref } of Refs.all(joins)) {
            assert.ok(!this.here.has(ref), `${ref} joined twice`);
            this.here.add(ref);
            this.joins++;
        }
        for (const { phx_ref: ref } of Refs.all(leaves)) {
            assert.ok(this.here.delete(ref), `${ref} left and was not there`);
            this.leaves++;
        }
    }
}

// A client on a node that has joined the topic and had its state. It is tracked under `user`.
class Member {
    static async join(node, user, topic = 'presence:room') {
        const member = new Member(node, user, topic);
        await new Promise((resolve, reject) => {
            member.channel.on('presence_state', resolve);
            member.channel.join().receive('error', reject);
        });
        return member;
    }

    constructor(node, user, topic) {
        this.node = node;
        this.refs = new Refs();
        this.wrong = null;
        this.socket = new Socket(`ws://127.0.0.1:${node.port}/socket`, {
            transport: WebSocket, params: { user_id: user }, reconnectAfterMs: () => 1e6,
        });
        this.socket.connect();
        this.channel = this.socket.channel(topic, {});
        this.channel.on('presence_state', (state) => this.refs.state(state));
        this.channel.on('presence_diff', (diff) => this.note(diff));
        this.presence = new Presence(this.channel);
        node.members.add(this);
    }

    note(diff) {
        try {
            this.refs.diff(diff);
        } catch (error) {
            this.wrong ??= error;
        }
    }

    leave() {
        this.socket.disconnect();
        this.node.members.delete(this);
    }

    ask(event, payload = {}) {
        return new Promise((resolve, reject) => {
            const push = this.channel.push(event, payload, LIMIT_MS);
            push.receive('ok', resolve);
            for (const status of ['error', 'timeout']) push.receive(status, reject);
        });
    }

    // As phoenix.js has it: "ada:online ada:away bob:online".
    list() {
        if (this.wrong) throw this.wrong;
        return Member.told(this.presence.state);
    }

    static told(state) {
        return Object.entries(state).flatMap(([key, { metas }]) =>
            metas.map(({ status }) => `${key}:${status}`)).sort().join(' ');
    }

    // Waits for that list, and that the server has the same by the same refs.
    async sees(list, limit) {
        await until(() => `"${list}"; it is "${this.list()}"`, () => this.list() === list, limit);
        const server = await this.ask('list');
        const refs = (state) => Refs.all(state).map((meta) => meta.phx_ref).sort();
        assert.deepEqual(refs(this.presence.state), refs(server));
    }
}

module.exports = {
    LongPoll, Member, QUICK, Socket, WebSocket, lacking, sleep, startNode, startRedis, until,
};
