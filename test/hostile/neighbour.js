// An honest client of a server under attack, in a thread of its own so that only the server can
// keep it waiting: asks for an echo again and again, and tells how long the answers took.
//
// Started as a worker with { host, port }. Posts `true` when it has joined; at any message it stops
// and posts { times } or { error }.
'use strict';

const { parentPort, workerData } = require('node:worker_threads');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('./client.js');

const PAUSE_MS = 2;

async function main() {
    const times = [];
    let stopped = false;
    parentPort.once('message', () => { stopped = true; });
    const client = await Client.join(workerData, 'room:neighbour');
    parentPort.postMessage(true);
    while (!stopped) {
        const started = performance.now();
        await client.echo({ n: times.length });
        times.push(performance.now() - started);
        await sleep(PAUSE_MS);
    }
    client.wire.destroy();
    parentPort.postMessage({ times });
}

main().catch((error) => parentPort.postMessage({ error: error.message }));
