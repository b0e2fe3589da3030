'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIMIT, answer, connect, knock, received, serve } = require('./helpers.js');

// A device that has joined, and hears its commands.
async function device(server, id) {
    const channel = connect(server, { device: id }).channel('device', {});
    const commands = received(channel, 'command');
    assert.deepEqual(await answer(channel.join()), { ok: {} });
    return { channel, commands };
}

async function operator(server, topic, ...events) {
    const channel = connect(server).channel(topic, {});
    const heard = events.map((event) => received(channel, event));
    return { channel, heard, joined: await answer(channel.join()) };
}

test('iot: an operator sees the devices come and go', LIMIT, async (t) => {
    const server = await serve(t, 'iot');
    for (let i = 0; i < 50; i++) await device(server, `d${i}`);
    const fleet = await operator(server, 'fleet', 'online', 'offline');
    const all = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`d${i}`, true]));
    assert.deepEqual(fleet.joined, { ok: { devices: all } });

    const late = await device(server, 'late');
    assert.deepEqual(await fleet.heard[0].next(), { device: 'late' });
    late.channel.socket.disconnect();
    assert.deepEqual(await fleet.heard[1].next(), { device: 'late' });
    assert.deepEqual((await operator(server, 'fleet')).joined,
        { ok: { devices: { ...all, late: false } } });
});

test('iot: the last value is there on join, then each new one', LIMIT, async (t) => {
    const server = await serve(t, 'iot');
    const { channel } = await device(server, 'd1');
    for (const celsius of [20, 21.5])
        assert.deepEqual(await answer(channel.push('value', { celsius })), { ok: {} });
    assert.deepEqual(await answer(channel.push('value', 22)),
        { error: { reason: 'not an object' } });
    const watcher = await operator(server, 'value:d1', 'value');
    assert.deepEqual(watcher.joined, { ok: { celsius: 21.5 } });
    await answer(channel.push('value', { celsius: 23 }));
    assert.deepEqual(await watcher.heard[0].next(), { celsius: 23 });
    assert.deepEqual((await operator(server, 'value:nosuch')).joined, { ok: {} });
});

test('iot: a command reaches one device alone', LIMIT, async (t) => {
    const server = await serve(t, 'iot');
    const [d1, d2] = [await device(server, 'd1'), await device(server, 'd2')];
    const { channel } = await operator(server, 'fleet');
    for (const [id, on] of [['d1', true], ['d2', false]])
        assert.deepEqual(await answer(channel.push('command', { device: id, on })), { ok: {} });
    assert.deepEqual(await d1.commands.next(), { device: 'd1', on: true });
    assert.deepEqual(await d2.commands.next(), { device: 'd2', on: false });
    assert.deepEqual(d1.commands.waiting, []);
    for (const id of ['nosuch', 'fleet', 'a b', 7])
        assert.deepEqual(await answer(channel.push('command', { device: id })),
            { error: { reason: 'offline' } });
});

test('iot: a device that is disconnected comes back', LIMIT, async (t) => {
    const server = await serve(t, 'iot');
    await device(server, 'd1');
    const { channel, heard: [online, offline] } =
        await operator(server, 'fleet', 'online', 'offline');
    assert.deepEqual(await answer(channel.push('disconnect', { device: 'd1' })), { ok: {} });
    assert.deepEqual(await offline.next(), { device: 'd1' });
    assert.deepEqual(await online.next(), { device: 'd1' });
});

test('iot: who is no device does not pass for one', LIMIT, async (t) => {
    const server = await serve(t, 'iot');
    for (const id of ['', 'a b', '"', 'x'.repeat(33)]) {
        const query = new URLSearchParams({ vsn: '2.0.0', device: id });
        assert.equal((await knock(server, query)).status, 403);
    }
    const { channel, joined } = await operator(server, 'device');
    channel.leave();
    assert.deepEqual(joined, { error: {} });
    const spy = await operator(server, 'device:d1');
    spy.channel.leave();
    assert.deepEqual(spy.joined, { error: { reason: 'unmatched topic' } });
});
