// A client that knows the protocol well enough to misuse it. Bytes and events are ../conformance's.
'use strict';

const assert = require('node:assert/strict');
const { Wire } = require('../conformance/wire.js');

const LIMIT_MS = 20000;
const HANDSHAKE = {
    'Host': 'localhost',
    'Upgrade': 'websocket',
    'Connection': 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
};

class Client {
    constructor(server) {
        this.wire = new Wire(server);
        this.refs = 1;
    }

    static async open(server, path = '/socket/websocket?vsn=2.0.0', headers = {}) {
        const client = new Client(server);
        client.wire.request('GET', path, { ...HANDSHAKE, ...headers });
        const { response } = await client.next();
        assert.equal(response?.status, 101);
        return client;
    }

    static async join(server, topic, path) {
        const client = await Client.open(server, path);
        client.topic = topic;
        const reply = await client.ask(topic, 'phx_join', {});
        assert.deepEqual(reply, { status: 'ok', response: {} });
        return client;
    }

    // The next event of any kind.
    async next() {
        const event = await this.wire.next(LIMIT_MS);
        if (!event) throw new Error(`nothing came within ${LIMIT_MS} ms`);
        return event;
    }

    // The next message, parsed.
    async message() {
        const event = await this.next();
        const shown = JSON.stringify(event).slice(0, 300);
        assert.ok(event.text !== undefined, `not a message: ${shown}`);
        return JSON.parse(event.text);
    }

    // Sends a message, and gives its ref. The join_ref of all is "1": a client joins once.
    tell(topic, event, payload) {
        const ref = String(this.refs++);
        this.wire.sendText(Buffer.from(JSON.stringify(['1', ref, topic, event, payload])));
        return ref;
    }

    // The payload of the answer, which has to be the next message.
    async ask(topic, event, payload) {
        const ref = this.tell(topic, event, payload);
        const [, answered, , reply, answer] = await this.message();
        assert.deepEqual([answered, reply], [ref, 'phx_reply']);
        return answer;
    }

    async echo(payload) {
        const answer = await this.ask(this.topic, 'echo', payload);
        assert.deepEqual(answer, { status: 'ok', response: payload });
    }

    // Waits for the end of the stream; the code of the close frame before it, if there was one, and
    // how many other events came before.
    async end() {
        let code, others = 0;
        for (;;) {
            const event = await this.next();
            if (event.end) return { code, others };
            if (event.close) code = event.close.code;
            else others++;
        }
    }

    // Hears nothing any more, until resume().
    pause() { this.wire.socket.pause(); }
    resume() { this.wire.socket.resume(); }

    // Writes raw bytes; resolves when the kernel has them, or nobody wants them any more.
    write(bytes) {
        return new Promise((resolve) => {
            this.wire.socket.once('close', resolve);
            this.wire.socket.write(bytes, () => {
                this.wire.socket.off('close', resolve);
                resolve();
            });
        });
    }
}

// One frame, masked with zeros: masking is not what is tested here.
function frame(first, payload) {
    const n = payload.length;
    const head = Buffer.alloc(n < 126 ? 6 : n < 65536 ? 8 : 14);
    head[0] = first;
    head[1] = 0x80 | (n < 126 ? n : n < 65536 ? 126 : 127);
    if (n >= 65536) head.writeBigUInt64BE(BigInt(n), 2);
    else if (n >= 126) head.writeUInt16BE(n, 2);
    return Buffer.concat([head, payload]);
}

module.exports = { Client, HANDSHAKE, frame };
