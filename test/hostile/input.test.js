// Well-formed input that programs have been known to trip over.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { MB, attack } = require('./attack.js');
const { Client, HANDSHAKE } = require('./client.js');

const TOPIC = 'room:input';

// Names that mean something to objects in JavaScript, where payloads end up.
const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty',
    '__defineGetter__', 'valueOf', 'length', '', '$', '\\u0000', '\\u005f_proto__'];
const NAMED = `{${NAMES.map((name, i) => `"${name}":{"polluted":${i}}`).join(',')}}`;

const send = (client, ref, event, payload) =>
    client.wire.sendText(Buffer.from(`["1","${ref}","${client.topic}","${event}",${payload}]`));

test('names like __proto__ come back as they went', async (t) => {
    await attack(t, { growth: 1 * MB }, async (server) => {
        const client = await Client.join(server, TOPIC);
        const other = await Client.join(server, TOPIC);
        for (const event of ['echo', 'broadcast', 'push']) {
            send(client, 'r', event, NAMED);
            const { text } = await client.next();
            assert.ok(text.includes(NAMED), text);
            const payload = JSON.parse(text)[4];
            assert.ok(Object.hasOwn(payload.response ?? payload, '__proto__'));
        }
        assert.ok((await other.next()).text.includes(NAMED));
        assert.equal({}.polluted, undefined);
        for (const { wire } of [client, other]) wire.destroy();
    });
});

test('topics, refs and parameters like __proto__', async (t) => {
    await attack(t, { growth: 1 * MB }, async (server) => {
        const query = 'vsn=2.0.0&__proto__[a]=1&constructor=2&toString=3&user_id=__proto__';
        const client = await Client.join(server, 'room:__proto__', `/socket/websocket?${query}`);
        send(client, '__proto__', 'params', '{}');
        const { text } = await client.next();
        const [, ref, topic, , { response }] = JSON.parse(text);
        assert.deepEqual([ref, topic], ['__proto__', 'room:__proto__']);
        assert.deepEqual(Object.entries(response).sort(), [['__proto__', { a: '1' }],
            ['constructor', '2'], ['toString', '3'], ['user_id', '__proto__'], ['vsn', '2.0.0']]);
        const other = await Client.join(server, 'room:constructor');
        await other.echo({});
        for (const { wire } of [client, other]) wire.destroy();
    });
});

test('huge topics', async (t) => {
    const MAX = 16384;
    await attack(t, { growth: 30 * MB }, async (server) => {
        const client = await Client.open(server);
        const lengths = [[MAX - 100, 'ok'], [MAX, 'error'], [1 * MB, 'error'], [4 * MB, 'error']];
        for (const [length, status] of lengths) {
            const topic = 'room:'.padEnd(length, 'x');
            client.refs = 1;
            const answer = await client.ask(topic, 'phx_join', {});
            assert.equal(answer.status, status, `${length} bytes`);
            if (status === 'error') assert.deepEqual(answer.response, { reason: 'topic too long' });
        }
        const unmatched = await client.ask('nobody:'.padEnd(1 * MB, 'x'), 'event', {});
        assert.deepEqual(unmatched, { status: 'error', response: { reason: 'unmatched topic' } });
        client.wire.destroy();
    });
});

test('deep nesting', async (t) => {
    const MAX = 1000;
    await attack(t, { growth: 25 * MB }, async (server) => {
        const nested = (open, depth, close) => `${open.repeat(depth)}1${close.repeat(depth)}`;
        const client = await Client.join(server, TOPIC);
        send(client, '2', 'echo', nested('[', MAX - 1, ']'));
        assert.ok((await client.next()).text.includes(nested('[', MAX - 1, ']')));
        client.wire.destroy();
        for (const payload of [nested('[', MAX + 1, ']'), nested('{"a":', MAX + 1, '}'),
            nested('[', 1000000, ']'), '['.repeat(7000000)]) {
            const victim = await Client.join(server, TOPIC);
            send(victim, '2', 'echo', payload);
            assert.deepEqual(await victim.end(), { code: 1011, others: 0 });
        }
        return `${MAX} levels, and no more`;
    });
});

test('many members, many parameters', async (t) => {
    const MAX_LEVELS = 100;
    await attack(t, { growth: 25 * MB }, async (server) => {
        const members = Array.from({ length: 200000 }, (_, i) => `"k${i}":${i}`).join(',');
        const client = await Client.join(server, TOPIC);
        send(client, '2', 'push', `{${members}}`);
        assert.ok((await client.next()).text.includes(members));
        client.wire.destroy();
        const queries = [
            Array.from({ length: 1000 }, (_, i) => `p${i}=${i}`).join('&'),
            Array.from({ length: 1000 }, (_, i) => `p[k${i}]=${i}`).join('&'),
            Array.from({ length: 2500 }, (_, i) => `p[]=${i % 10}`).join('&'),
            `p${'[k]'.repeat(MAX_LEVELS)}=1`,
            '&'.repeat(15000),
        ];
        for (const query of queries) {
            const one = await Client.join(server, TOPIC, `/socket/websocket?vsn=2.0.0&${query}`);
            const { status } = await one.ask(TOPIC, 'params', {});
            assert.equal(status, 'ok');
            one.wire.destroy();
        }
        for (const levels of [MAX_LEVELS + 1, 5000]) {
            const client = new Client(server);
            const query = `vsn=2.0.0&p${'[k]'.repeat(levels)}=1`;
            client.wire.request('GET', `/socket/websocket?${query}`, HANDSHAKE);
            assert.equal((await client.next()).response.status, 400);
            client.wire.destroy();
        }
    });
});
