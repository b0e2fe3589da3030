'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIMIT, answer, connect, received, serve, tell } = require('./helpers.js');

// A player that has joined. state() waits for the next tick: { tick, players: { id: [x, y] } }.
async function bot(server, room) {
    const channel = connect(server).channel(`game:${room}`, {});
    const ticks = received(channel, 'tick');
    const { ok } = await answer(channel.join());
    const steer = (dx, dy) => tell(channel, 'input', Int8Array.of(dx, dy).buffer);
    const state = async () => read(new DataView(await ticks.next()));
    return { channel, id: ok.id, ok, state, steer };
}

function read(bytes) {
    const players = {};
    for (let at = 4; at < bytes.byteLength; at += 6) {
        const [id, x, y] = [0, 2, 4].map((offset) => bytes.getUint16(at + offset, true));
        players[id] = [x, y];
    }
    return { tick: bytes.getUint32(0, true), players };
}

test('game: a tick every 50 ms, none missing', LIMIT, async (t) => {
    const player = await bot(await serve(t, 'game'), 'x');
    const { tick: first } = await player.state();
    const started = performance.now();
    for (let i = 1; i <= 20; i++) assert.equal((await player.state()).tick, first + i);
    const apart = (performance.now() - started) / 20;
    assert.ok(apart > 40 && apart < 100, `ticks came ${apart} ms apart`);
});

test('game: an input moves its player, as everyone in the room sees', LIMIT, async (t) => {
    const server = await serve(t, 'game');
    const [a, b, other] = [await bot(server, 'x'), await bot(server, 'x'), await bot(server, 'y')];
    const [x, y] = [a.ok.width / 2, a.ok.height / 2];
    let seen;
    do seen = (await b.state()).players; while (seen[a.id] === undefined);
    assert.deepEqual(seen, { [a.id]: [x, y], [b.id]: [x, y] });

    a.steer(1, -1);
    do seen = (await b.state()).players; while (seen[a.id][0] === x);
    assert.deepEqual(seen[b.id], [x, y]);
    assert.equal(seen[a.id][0] - x, y - seen[a.id][1]);

    b.steer(-1, 0);
    do seen = (await a.state()).players; while (seen[b.id][0] > 0); // and no further
    assert.deepEqual((await a.state()).players[b.id], [0, y]);
    assert.deepEqual(Object.keys((await other.state()).players), [String(other.id)]);

    b.channel.leave();
    do seen = (await a.state()).players; while (seen[b.id] !== undefined);
});

test('game: what is no input is refused', LIMIT, async (t) => {
    const { channel } = await bot(await serve(t, 'game'), 'x');
    for (const payload of [{}, new ArrayBuffer(0), new ArrayBuffer(3)])
        assert.deepEqual(await answer(channel.push('input', payload)),
            { error: { reason: 'not an input' } });
});

test('game: a room is full at some time', LIMIT, async (t) => {
    const server = await serve(t, 'game');
    for (let i = 0; i < 100; i++) await bot(server, 'x');
    const channel = connect(server).channel('game:x', {});
    const joined = await answer(channel.join());
    channel.leave();
    assert.deepEqual(joined, { error: { reason: 'full' } });
});

test('game: it serves its page', LIMIT, async (t) => {
    const server = await serve(t, 'game');
    const get = (path) => fetch(`http://127.0.0.1:${server.port}${path}`);
    assert.match(await (await get('/')).text(), /<canvas/);
    assert.match(await (await get('/phoenix.js')).text(), /Socket/);
    assert.equal((await get('/game.c')).status, 404);
});
