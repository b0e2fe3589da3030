'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { LIMIT, answer, connect, knock, serve } = require('./helpers.js');

test('auth_later: the worker decides who connects', LIMIT, async (t) => {
    const server = await serve(t, 'auth_later');
    assert.equal((await knock(server, 'vsn=2.0.0&token=ada-secret')).status, 101);
    assert.deepEqual(await knock(server, 'vsn=2.0.0&token=eve-secret'),
        { status: 401, body: '{"reason":"who are you?"}' });
    assert.equal((await knock(server, 'vsn=2.0.0')).status, 403);
});

test('auth_later: the worker decides who joins', LIMIT, async (t) => {
    const server = await serve(t, 'auth_later');
    const [ada, bob] = ['ada', 'bob'].map((name) => connect(server, { token: `${name}-secret` }));
    const channels = [ada.channel('room:engines', {}), ada.channel('room:cellar', {}),
        bob.channel('room:engines', {})];
    const joined = await Promise.all(channels.map((channel) => answer(channel.join())));
    for (const channel of channels) channel.leave(); // or the refused would try again
    const no = { error: { reason: 'unauthorized' } };
    assert.deepEqual(joined, [{ ok: {} }, no, no]);
});

test('auth_later: nothing is left of those who do not wait', LIMIT, async (t) => {
    const server = await serve(t, 'auth_later');
    const ada = connect(server, { token: 'ada-secret' });
    const channel = ada.channel('room:engines', {});
    await new Promise((resolve) => { ada.onOpen(resolve); });
    channel.join().cancelTimeout();
    for (let i = 0; i < 5; i++) knock(server, 'vsn=2.0.0&token=bob-secret').catch(() => {});
    await setTimeout(20); // an answer takes the worker 50 ms
    for (const close of server.closing.splice(0)) close();
    assert.equal((await knock(server, 'vsn=2.0.0&token=ada-secret')).status, 101);
});
