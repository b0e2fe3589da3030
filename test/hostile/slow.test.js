// Clients that take their time, and clients that are gone without a word.
'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { MB, attack, files, given } = require('./attack.js');
const { Client } = require('./client.js');

const many = (count, make) => Promise.all(Array.from({ length: count }, (_, i) => make(i)));

const HTTP_TIMEOUT_MS = 10000, COUNT = 200;

// All of them wait at the same time.
// Some at a time: on a busy machine the joins of all would take longer than they may be idle.
async function joinShort(server, topic, then = () => {}) {
    const clients = [];
    while (clients.length < COUNT)
        clients.push(...await many(20, async () => {
            const client = await Client.join(server, topic, '/short/websocket?vsn=2.0.0');
            then(client);
            return client;
        }));
    return clients;
}

describe('slow and gone', { concurrency: true, timeout: 60000 }, () => {
    test('a header one byte a second', async (t) => {
        const head = Buffer.from('GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n');
        await attack(t, { growth: 8 * MB }, async (server) => {
            const started = Date.now();
            const clients = await many(COUNT, () => new Client(server));
            let at = 0;
            const drip = setInterval(() => {
                for (const { wire } of clients) wire.write(head.subarray(at, at + 1));
                at++;
            }, 1000);
            await many(COUNT, (i) => clients[i].end());
            clearInterval(drip);
            const took = Date.now() - started;
            assert.ok(took >= HTTP_TIMEOUT_MS - 500, `cut after ${took} ms`);
            return `${COUNT} clients, all cut after ${took} ms`;
        });
    });

    test('a body that never comes', async (t) => {
        const head = 'POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\nx';
        await attack(t, { growth: 8 * MB }, async (server) => {
            const clients = await many(COUNT, () => new Client(server));
            for (const { wire } of clients) wire.write(Buffer.from(head));
            const started = Date.now();
            await many(COUNT, (i) => clients[i].end());
            return `${COUNT} clients, all cut after ${Date.now() - started} ms`;
        });
    });

    test('not a byte', async (t) => {
        await attack(t, { growth: 4 * MB }, async (server) => {
            const clients = await many(COUNT, () => new Client(server));
            const started = Date.now();
            await many(COUNT, (i) => clients[i].end());
            return `${COUNT} clients, all cut after ${Date.now() - started} ms`;
        });
    });

    test('silent after joining: idle for a second, then 1002', async (t) => {
        await attack(t, { growth: 4 * MB }, async (server) => {
            const clients = await joinShort(server, 'room:idle');
            const ends = await many(COUNT, (i) => clients[i].end());
            for (const end of ends) assert.deepEqual(end, { code: 1002, others: 0 });
            return `${COUNT} clients, all closed`;
        });
    });

    test('half a frame, then silence', async (t) => {
        await attack(t, { growth: 8 * MB }, async (server) => {
            const clients = await joinShort(server, 'room:half', ({ wire }) =>
                wire.write(Buffer.concat([Buffer.from('81fe800000000000', 'hex'),
                    Buffer.alloc(3000, 'a')])));
            const ends = await many(COUNT, (i) => clients[i].end());
            for (const end of ends) assert.deepEqual(end, { code: 1002, others: 0 });
            return `${COUNT} clients, all closed`;
        });
    });

    test('half-open: no more is sent, all is still read', async (t) => {
        await attack(t, { growth: 4 * MB }, async (server) => {
            const clients = await many(COUNT, () => Client.join(server, 'room:open'));
            for (const { wire } of clients) wire.socket.end();
            await many(COUNT, (i) => clients[i].end());
            const heads = await many(COUNT, () => new Client(server));
            for (const { wire } of heads) wire.socket.end('GET /socket');
            await many(COUNT, (i) => heads[i].end());
            return `${2 * COUNT} clients, all let go`;
        });
    });

    test('reset in the middle of a frame, broadcasts on their way', async (t) => {
        await attack(t, { growth: 8 * MB }, async (server) => {
            const before = files(server);
            const stays = await Client.join(server, 'room:reset');
            const clients = await many(COUNT, () => Client.join(server, 'room:reset'));
            for (const { wire } of clients) wire.write(Buffer.from('81fe8000000000005b', 'hex'));
            for (let i = 0; i < 100; i++) stays.tell('room:reset', 'broadcast', { i });
            for (const { wire } of clients) wire.socket.resetAndDestroy();
            for (let i = 0; i < 100; i++) {
                const [, , , , payload] = await stays.message();
                assert.deepEqual(payload, { i });
            }
            await given(() => files(server) === before + 1, 'the dead were not buried');
            stays.wire.destroy();
            return `${COUNT} clients, all noticed`;
        });
    });

    test('come and gone at once, 2000 times', async (t) => {
        await attack(t, { growth: 8 * MB }, async (server) => {
            for (let i = 0; i < 10; i++) {
                const clients = await many(COUNT, () => new Client(server));
                await many(COUNT, (j) => new Promise((resolve) => {
                    clients[j].wire.socket.once('connect', resolve);
                }));
                for (const { wire } of clients) wire.socket.resetAndDestroy();
                await sleep(1);
            }
        });
    });
});
