// phoenix.js, as it comes from npm, over wss://, with a certificate that it really checks.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const tls = require('node:tls');
const { Socket } = require('phoenix');
const WebSocket = require('ws');
const { FIXTURE, answer, received, serve, tell } = require('./helpers.js');

const SECURE = path.join(path.dirname(FIXTURE), 'secure');
const LIMIT = { timeout: 20000 };

// Writes a new certificate of that name for 127.0.0.1, and gives the paths of it and its key.
function certificate(dir, name) {
    const [cert, key] = [path.join(dir, 'cert.pem'), path.join(dir, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
        '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1',
        '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { cert, key };
}

async function serveSecurely(t) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'channels-'));
    t.after(() => fs.rmSync(dir, { recursive: true }));
    const { cert, key } = certificate(dir, 'first');
    return { ...await serve(t, [SECURE, '--port', '0', cert, key]), dir, cert };
}

// A client that trusts the server's certificate of now and has joined the topic.
async function member(server, topic) {
    const ca = fs.readFileSync(server.cert);
    class Trusting extends WebSocket {
        constructor(url, protocols) { super(url, protocols, { ca }); }
    }
    const socket = new Socket(`wss://127.0.0.1:${server.port}/socket`, { transport: Trusting });
    socket.connect();
    server.closing.push(() => socket.disconnect());
    const channel = socket.channel(topic, {});
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    return channel;
}

// The name in the certificate that newcomers see.
function name({ host, port }) {
    return new Promise((resolve, reject) => {
        const stream = tls.connect({ host, port, rejectUnauthorized: false }, () => {
            resolve(stream.getPeerCertificate().subject.CN);
            stream.end();
        });
        stream.on('error', reject);
    });
}

test('phoenix.js pushes and hears broadcasts over wss', LIMIT, async (t) => {
    const server = await serveSecurely(t);
    const [a, b] = [await member(server, 'room:x'), await member(server, 'room:x')];
    const [atA, atB] = [received(a, 'shout'), received(b, 'shout')];
    assert.deepEqual(await answer(a.push('echo', { a: ['ż'] })), { ok: { a: ['ż'] } });
    for (let n = 0; n < 100; n++) tell(a, 'shout', { n });
    for (let n = 0; n < 100; n++) {
        assert.deepEqual(await atA.next(), { n });
        assert.deepEqual(await atB.next(), { n });
    }
});

test('phoenix.js exchanges 4 MB over wss', LIMIT, async (t) => {
    const channel = await member(await serveSecurely(t), 'room:x');
    const bytes = Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 7919) >> 3);
    const { ok } = await answer(channel.push('echo', bytes.buffer));
    assert.ok(Buffer.from(ok).equals(bytes));
    const text = 'x'.repeat(4 << 20);
    assert.deepEqual(await answer(channel.push('echo', { text })), { ok: { text } });
});

test('a new certificate is for newcomers, and nobody is dropped', LIMIT, async (t) => {
    const server = await serveSecurely(t);
    const old = await member(server, 'room:x');
    let dropped = false;
    old.socket.onClose(() => { dropped = true; });
    assert.equal(await name(server), 'first');
    certificate(server.dir, 'second');
    process.kill(server.pid, 'SIGHUP');
    while (await name(server) !== 'second');
    const heard = received(old, 'shout');
    tell(await member(server, 'room:x'), 'shout', { n: 1 });
    assert.deepEqual(await heard.next(), { n: 1 });
    assert.equal(dropped, false);
});
