// What embed_poll, own_http and own_websocket have in common: on "room:lobby" everyone hears a
// "shout", and who shouted is answered.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { LIMIT, answer, connect, knock, received, serve } = require('./helpers.js');

// The tests of such an example; so many clients, one after the other, have to find a place.
module.exports = function testRoom(name, clients) {
    test(`${name}: two clients hear each other`, LIMIT, async (t) => {
        const server = await serve(t, name);
        const [a, b] = [1, 2].map(() => connect(server).channel('room:lobby', {}));
        for (const channel of [a, b]) assert.deepEqual(await answer(channel.join()), { ok: {} });
        const heard = received(b, 'shout');
        assert.deepEqual(await answer(a.push('shout', { text: 'hello' })), { ok: {} });
        assert.deepEqual(await heard.next(), { text: 'hello' });
    });

    // Its socket is not read from meanwhile, so the server has to wait until it can go on writing.
    test(`${name}: more is written than the kernel takes at once`, LIMIT, async (t) => {
        const server = await serve(t, name);
        const channel = connect(server).channel('room:lobby', {});
        assert.deepEqual(await answer(channel.join()), { ok: {} });
        const heard = received(channel, 'shout');
        const stream = channel.socket.conn._socket;
        stream.pause();
        const text = 'x'.repeat(400000);
        const answers = Array.from({ length: 40 },
            (_, n) => answer(channel.push('shout', { n, text })));
        await setTimeout(500);
        assert.deepEqual(heard.waiting, []);
        stream.resume();
        for (let n = 0; n < 40; n++) assert.deepEqual(await heard.next(), { n, text });
        for (const reply of await Promise.all(answers)) assert.deepEqual(reply, { ok: {} });
    });

    test(`${name}: ${clients} clients come and go`, LIMIT, async (t) => {
        const server = await serve(t, name);
        for (let i = 0; i < clients; i++) {
            const { status, end } = await knock(server, 'vsn=2.0.0');
            assert.equal(status, 101);
            await end();
        }
    });
};
