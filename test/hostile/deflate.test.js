// Compressed messages that stand for far more than they are.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const zlib = require('node:zlib');
const { MB, attack } = require('./attack.js');
const { Client, frame } = require('./client.js');

const TEXT = 0xc1, BINARY = 0xc2; // whole and compressed
const args = ['--compress', '6'];
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
const MAX = 8000000; // of a message there

const open = (server) => Client.open(server, undefined, OFFER);

// Each part can be followed by any other.
const squeeze = (bytes) =>
    zlib.deflateRawSync(bytes, { level: 9, finishFlush: zlib.constants.Z_FULL_FLUSH });

test('a megabyte that stands for a gigabyte', { timeout: 60000 }, async (t) => {
    const COUNT = 10, part = squeeze(Buffer.alloc(64 * MB));
    const bomb = frame(BINARY, Buffer.alloc(16 * part.length, part));
    await attack(t, { growth: 40 * MB, args }, async (server) => {
        for (let i = 0; i < COUNT; i++) {
            const client = await open(server);
            client.write(bomb);
            assert.deepEqual(await client.end(), { code: 1009, others: 0 });
        }
        return `${COUNT} times ${bomb.length} bytes`;
    });
});

test('messages that stand for just as much as they may', { timeout: 60000 }, async (t) => {
    const COUNT = 20, text = Buffer.alloc(MAX, ' ');
    text.write('[null,"1","phoenix","heartbeat",{}');
    text.write(']', MAX - 1);
    const message = frame(TEXT, squeeze(text).subarray(0, -4));
    await attack(t, { growth: 40 * MB, args }, async (server) => {
        const client = await open(server);
        client.write(Buffer.alloc(COUNT * message.length, message));
        for (let i = 0; i < COUNT; i++)
            assert.equal((await client.message())[4].status, 'ok');
        client.wire.destroy();
        return `${COUNT} times ${message.length} bytes`;
    });
});
