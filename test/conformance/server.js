// Starts a server whose first line is `listening on HOST:PORT`, and ends it again.
'use strict';

const { spawn } = require('node:child_process');
const readline = require('node:readline');

const LIMIT_MS = 10000;
const running = new Set();

// Nothing may outlive the tests, however they end.
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

// Gives { host, port, pid, end }. `end(signal)` waits and gives the exit status, or the signal that
// killed it.
async function start([program, ...args]) {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    const ended = new Promise((resolve) => {
        child.once('exit', (status, signal) => resolve(signal ?? status));
        child.once('error', (error) => resolve(error.message));
    });
    ended.then(() => running.delete(child));

    const line = new Promise((resolve) => {
        readline.createInterface({ input: child.stdout }).once('line', resolve);
    });
    const first = await within(Promise.race([line, ended.then((how) => `(ended: ${how})`)]));
    const [, host, port] = /^listening on \[?([^\]]+)\]?:(\d+)$/.exec(first) ?? [];
    if (!port) {
        child.kill('SIGKILL');
        throw new Error(`${program} did not say where it listens: ${first ?? 'no line'}`);
    }

    async function end(signal) {
        child.kill(signal);
        const how = await within(ended);
        if (how === undefined) child.kill('SIGKILL');
        return how ?? `still running ${LIMIT_MS} ms after ${signal}`;
    }
    return { host, port: Number(port), pid: child.pid, end };
}

// What the promise gives, or undefined after LIMIT_MS.
async function within(promise) {
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, LIMIT_MS); });
    const result = await Promise.race([promise, late]);
    clearTimeout(timer);
    return result;
}

module.exports = { start };
