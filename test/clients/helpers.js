// What the tests of all clients share: the servers, and waiting for what a client reports.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { start } = require('../conformance/server.js');

const ROOT = path.join(__dirname, '..', '..');
const FIXTURE = process.env.FIXTURE ?? path.join(ROOT, 'build', 'fixture');
const REALTIME = process.env.REALTIME ?? path.join(ROOT, 'build', 'realtime');

// A server for one test; it has to end cleanly after it, unless the test ended it. `command` is the
// path of a program that takes --port (0: any), or an array of a program and its arguments.
// Before that, what the test put in `closing` is called: a client must not see its server go, or
// it would try for ever to find it again.
async function serve(t, command, port = 0) {
    const words = Array.isArray(command) ? command : [command, '--port', String(port)];
    const server = { ...await start(words), closing: [] };
    t.after(async () => {
        for (const close of server.closing) close();
        const how = await server.end('SIGTERM');
        assert.ok(how === 0 || how === 'SIGKILL', `the server ended with ${how}`);
    });
    return server;
}

// The answer to a push or join: { ok: response }, { error: response } or { timeout: ... }.
function answer(push) {
    return new Promise((resolve) => {
        for (const status of ['ok', 'error', 'timeout'])
            push.receive(status, (response) => resolve({ [status]: response }));
    });
}

// A push that will not be answered: its timer would keep the process waiting.
function tell(channel, event, payload) {
    channel.push(event, payload).cancelTimeout();
}

// What a client reports by a callback: `add` is that callback, next() waits for the oldest value
// not yet taken, `waiting` holds them.
function inbox() {
    const waiting = [];
    let wake = null;
    function add(value) {
        waiting.push(value);
        wake?.();
    }
    async function next() {
        while (waiting.length === 0) await new Promise((resolve) => { wake = resolve; });
        return waiting.shift();
    }
    return { add, next, waiting };
}

// The inbox of one event of a channel.
function received(channel, event) {
    const box = inbox();
    channel.on(event, box.add);
    return box;
}

module.exports = { FIXTURE, REALTIME, answer, inbox, received, serve, tell };
