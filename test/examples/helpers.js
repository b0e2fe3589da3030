// What the tests of the examples share: how each is started, and clients for it.
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');
const helpers = require('../clients/helpers.js');

// The clients' modules are installed beside their own tests.
const clients = createRequire(require.resolve('../clients/helpers.js'));
const { LongPoll, Socket } = clients('phoenix');
const WebSocket = clients('ws');

const ROOT = path.join(__dirname, '..', '..');
const EXAMPLES = process.env.EXAMPLES ?? path.join(ROOT, 'build', 'examples');

const LIMIT = { timeout: 20000 };

// The example of that name on a port of its own choice; it has to end cleanly after the test.
function serve(t, name) {
    return helpers.serve(t, [path.join(EXAMPLES, name), '0']);
}

// A phoenix.js that soon tries again what failed.
function connect(server, params = {}, transport = WebSocket) {
    const socket = new Socket(`ws://127.0.0.1:${server.port}/socket`, {
        transport, params, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20,
    });
    socket.connect();
    server.closing.push(() => socket.disconnect());
    return socket;
}

// What a client without phoenix.js is answered: { status, body }; of one that is let in (101),
// `closed` gives the close code, and end() closes it.
function knock(server, query, options = {}, path = '/socket/websocket') {
    const url = `ws://127.0.0.1:${server.port}${path}?${query}`;
    return new Promise((resolve, reject) => {
        const ws = new WebSocket(url, options);
        const closed = new Promise((gone) => { ws.on('close', gone); });
        const end = () => { ws.close(); return closed; };
        ws.on('open', () => resolve({ status: 101, ws, closed, end }));
        ws.on('unexpected-response', async (request, response) => {
            let body = '';
            for await (const bytes of response) body += bytes;
            resolve({ status: response.statusCode, body });
        });
        ws.on('error', reject);
        server.closing.push(() => ws.terminate());
    });
}

module.exports = { ...helpers, EXAMPLES, LIMIT, LongPoll, ROOT, connect, knock, serve };
