// phoenix.js in Chromium, which offers permessage-deflate by itself: what comes is what was sent.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { start } = require('../conformance/server.js');
const { BUILD, launch } = require('./helpers.js');

const skip = Number.parseInt(process.versions.node) < 20 && 'needs Node 20';
const PHOENIX = path.join(__dirname, '..', '..', 'examples', 'chat', 'node_modules', 'phoenix',
    'priv', 'static', 'phoenix.min.js');
let server, browser;

before(async () => {
    if (skip) return;
    server = await start([path.join(BUILD, 'fixture'), '--port', '0', '--compress', '6']);
    browser = await launch();
});

after(async () => {
    await browser?.close();
    if (server) assert.equal(await server.end('SIGTERM'), 0);
});

// Runs in the page: what was agreed on, and the answers to an echo of each payload.
async function echo(payloads) {
    const socket = new window.Phoenix.Socket('/socket');
    socket.connect();
    const channel = socket.channel('room:x', {});
    const answer = (push) => new Promise((resolve, reject) => {
        push.receive('ok', resolve).receive('error', reject);
    });
    await answer(channel.join());
    const answers = [];
    for (const payload of payloads) answers.push(await answer(channel.push('echo', payload)));
    return { extensions: socket.conn.extensions, answers };
}

test('Chromium has messages compressed', { skip, timeout: 20000 }, async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.port}/`); // no page, but of that origin
    await page.addScriptTag({ content: fs.readFileSync(PHOENIX, 'utf8') });
    const rows = Array.from({ length: 500 }, (_, i) => ({ id: i, name: `user ${i % 7} ż` }));
    const payloads = [{}, { a: 'a'.repeat(1000) }, { rows }];
    const { extensions, answers } = await page.evaluate(echo, payloads);
    assert.equal(extensions,
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover');
    assert.deepEqual(answers, payloads);
});
