// Clients that send too much, or take too little of what they are sent.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { MB, attack } = require('./attack.js');
const { Client, frame } = require('./client.js');

const BINARY = 2, PING = 0x89, LAST = 0x80, CONTINUATION = 0;

const repeat = (bytes, count) => Buffer.alloc(bytes.length * count, bytes);

async function messages(client, count, take) {
    for (let i = 0; i < count; i++) take(await client.message());
}

test('clients that do not read a flood of broadcasts', { timeout: 60000 }, async (t) => {
    const SLOW = 20, COUNT = 20000, payload = { text: 'x'.repeat(1000) };
    await attack(t, { growth: 5 * MB }, async (server) => {
        const slow = await Promise.all(Array.from({ length: SLOW },
            () => Client.join(server, 'room:flood')));
        const reader = await Client.join(server, 'room:flood');
        const sender = await Client.join(server, 'room:flood');
        for (const client of slow) client.pause();
        let next = 0;
        for (let i = 1; i <= COUNT; i++) {
            sender.tell('room:flood', 'broadcast_from', { ...payload, i: i - 1 });
            if (i % 100 !== 0) continue;
            await messages(reader, 100, ([, , , , { i: got }]) => assert.equal(got, next++));
        }
        for (const client of slow) client.resume();
        const ends = await Promise.all(slow.map((client) => client.end()));
        reader.wire.destroy();
        sender.wire.destroy();
        for (const { code, others } of ends) {
            assert.ok(code === 1008 || code === undefined, `closed with ${code}`);
            assert.ok(others < COUNT);
        }
        const told = ends.filter(({ code }) => code === 1008).length;
        return `${SLOW} slow clients, all cut off, ${told} of them heard 1008; `
            + `the reader got all ${COUNT}`;
    });
});

test('200000 pings, none of the pongs read', { timeout: 60000 }, async (t) => {
    const COUNT = 200000;
    await attack(t, { growth: 1 * MB }, async (server) => {
        const client = await Client.open(server);
        client.pause();
        const pings = Buffer.concat(Array.from({ length: COUNT },
            (_, i) => frame(PING, Buffer.from(String(i).padStart(125)))));
        await client.write(pings);
        client.resume();
        let last = -1, pongs = 0;
        while (last < COUNT - 1) {
            const { pong } = await client.next();
            const number = Number(Buffer.from(pong, 'hex').toString());
            assert.ok(number > last, 'pongs out of order');
            last = number;
            pongs++;
        }
        client.wire.destroy();
        return `${COUNT} pings, ${pongs} pongs, the last of them the last`;
    });
});

test('4 MB in fragments of 64 bytes', { timeout: 60000 }, async (t) => {
    const head = Buffer.from('\0\x01\x01\x08\x0b12room:bigbinary_echo');
    await attack(t, { growth: 12 * MB }, async (server) => {
        const client = await Client.join(server, 'room:big');
        const fragment = frame(CONTINUATION, Buffer.alloc(64, 'b'));
        await client.write(Buffer.concat([frame(BINARY, head), repeat(fragment, 65535),
            frame(LAST, Buffer.alloc(64, 'b'))]));
        const { hex } = await client.next();
        assert.equal(hex.length / 2, 5 + 12 + 65536 * 64);
        client.wire.destroy();
        return 'accepted, and echoed as one message';
    });
});

for (const [name, first] of [['text', 1], ['binary', BINARY]]) {
    test(`65000 empty fragments of a ${name}`, { timeout: 60000 }, async (t) => {
        await attack(t, { growth: 1 * MB }, async (server) => {
            const client = await Client.open(server);
            await client.write(Buffer.concat([frame(first, Buffer.alloc(0)),
                repeat(frame(CONTINUATION, Buffer.alloc(0)), 65000)]));
            assert.deepEqual(await client.end(), { code: 1008, others: 0 });
            return 'refused with 1008';
        });
    });
}

for (const reads of [true, false]) {
    const how = reads ? 'the answers read at once' : 'the answers read at the end';
    test(`100000 joins on one connection, ${how}`, { timeout: 60000 }, async (t) => {
        const COUNT = 100000, MAX = 100;
        await attack(t, { growth: 3 * MB }, async (server) => {
            const client = await Client.open(server);
            if (!reads) client.pause();
            const joins = Array.from({ length: COUNT }, (_, i) => frame(0x81,
                Buffer.from(JSON.stringify([String(i), String(i), `room:${i}`, 'phx_join', {}]))));
            const written = client.write(Buffer.concat(joins));
            if (!reads) setTimeout(() => client.resume(), 1000);
            const said = { ok: 0, error: 0 };
            let next = 0;
            await messages(client, COUNT, ([, ref, , , { status, response }]) => {
                assert.equal(ref, String(next++));
                said[status]++;
                if (status === 'error') assert.equal(response.reason, 'too many channels joined');
            });
            await written;
            assert.deepEqual(said, { ok: MAX, error: COUNT - MAX });
            client.wire.destroy();
            return `${said.ok} joined, ${said.error} refused, each answered in its turn`;
        });
    });
}
