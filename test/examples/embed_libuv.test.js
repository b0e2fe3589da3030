'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIMIT, answer, connect, received, serve } = require('./helpers.js');

test('embed_libuv: the timer that was there speaks to who has joined', LIMIT, async (t) => {
    const clock = connect(await serve(t, 'embed_libuv')).channel('clock', {});
    const ticks = received(clock, 'tick');
    assert.deepEqual(await answer(clock.join()), { ok: {} });
    const [first, second] = [await ticks.next(), await ticks.next()];
    assert.ok(first.now_ms < second.now_ms);
});
