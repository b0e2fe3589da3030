// A server under attack: what it costs in memory and descriptors, what its other clients notice.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { start } = require('../conformance/server.js');

const FIXTURE = process.env.FIXTURE ?? path.join(__dirname, '..', '..', 'build', 'fixture');
const MB = 1024 * 1024;

// An echo takes well under a millisecond; the rest is for machines that do other things as well.
const WORST_MS = 2000;
const MEDIAN_MS = 50;
const LIMIT_MS = 15000;

// Runs `act(server)` against a fixture of its own, which may be given arguments, an honest client
// beside it. The server's memory may not grow by more than `growth` bytes at any time; descriptors
// are all given back. What `act` returns is printed too.
async function attack(t, { growth, args = [] }, act) {
    const server = await start([FIXTURE, '--port', '0', ...args]);
    const neighbour = neighbourOf(server);
    try {
        await settled(neighbour);
        const before = { memory: status(server, 'VmRSS'), files: files(server) };
        const said = await act(server);
        const grown = status(server, 'VmHWM') - before.memory;
        await given(() => files(server) <= before.files, 'descriptors were not given back');
        const rest = status(server, 'VmRSS') - before.memory;
        tellTimes(t, await stop(neighbour));
        t.diagnostic(`memory: ${mb(before.memory)}, at most ${mb(grown)} more, `
            + `${mb(rest)} more at the end`);
        if (said) t.diagnostic(said);
        assert.ok(grown <= growth, `grew by ${mb(grown)}, more than ${mb(growth)}`);
    } finally {
        await neighbour.terminate();
        assert.equal(await server.end('SIGTERM'), 0);
    }
}

// --- The neighbour -----------------------------------------------------------------------------

function neighbourOf({ host, port }) {
    return new Worker(path.join(__dirname, 'neighbour.js'), { workerData: { host, port } });
}

async function settled(worker) {
    const [joined] = await once(worker, 'message');
    assert.equal(joined, true);
    await sleep(100);
}

async function stop(worker) {
    worker.postMessage('stop');
    const [{ times, error }] = await once(worker, 'message');
    assert.equal(error, undefined);
    return times.sort((a, b) => a - b);
}

function tellTimes(t, times) {
    const median = times[Math.floor(times.length / 2)], worst = times.at(-1);
    t.diagnostic(`neighbour: ${times.length} echoes, median ${median.toFixed(2)} ms, `
        + `worst ${worst.toFixed(1)} ms`);
    assert.ok(median <= MEDIAN_MS && worst <= WORST_MS, 'the neighbour noticed');
}

// --- What the kernel says of the server --------------------------------------------------------

function status({ pid }, field) {
    const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)[1]) * 1024;
}

function files({ pid }) {
    return fs.readdirSync(`/proc/${pid}/fd`).length;
}

async function given(condition, otherwise) {
    for (const until = Date.now() + LIMIT_MS; !condition(); await sleep(20))
        assert.ok(Date.now() < until, otherwise);
}

function mb(bytes) {
    return `${(bytes / MB).toFixed(1)} MB`;
}

module.exports = { MB, attack, files, given };
