// Presence on nodes that are real processes, joined by a real Redis; both are killed and stopped.
'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { Member, QUICK, lacking, sleep, startNode, startRedis, until } = require('./helpers.js');

const SLOW = { broadcast: 100, down: 30000 };

// Nodes by their names, with a member on each of the same name in capitals.
async function cluster(t, names, options) {
    const redis = await startRedis(t), nodes = {}, members = {};
    for (const name of names) {
        nodes[name] = await startNode(t, redis, name, options);
        members[name] = await Member.join(nodes[name], name.toUpperCase());
    }
    await all(members, online(names));
    return { redis, nodes, members };
}

const online = (names) => names.map((name) => `${name.toUpperCase()}:online`).join(' ');

async function all(members, list, limit) {
    for (const member of Object.values(members)) await member.sees(list, limit);
}

describe('presence on several nodes', { concurrency: 2, timeout: 60000, skip: lacking() }, () => {
    test('who is on one is seen on the other', async (t) => {
        const { nodes, members } = await cluster(t, ['a', 'b']);
        const { joins, leaves } = members.b.refs; // with A in its state, or not yet
        await members.a.ask('update', { status: 'away' });
        await members.b.sees('A:away B:online');
        const second = await Member.join(nodes.b, 'A');
        await members.a.sees('A:away A:online B:online');
        members.a.leave();
        await members.b.sees('A:online B:online');
        await second.ask('untrack');
        await all({ b: members.b, second }, 'B:online');
        assert.deepEqual([members.b.refs.joins, members.b.refs.leaves], [joins + 2, leaves + 3]);
    });

    // Cases 2, 3 and 10.
    test('a node is killed', async (t) => {
        const { nodes, members } = await cluster(t, ['a', 'b', 'c']);
        const { b, c } = members, before = b.refs.leaves;
        members.a.leave = () => {}; // it is not told
        await nodes.a.kill();
        await all({ b, c }, online(['b', 'c']));
        assert.equal(b.refs.leaves, before + 1);
        await sleep(QUICK.down);
        assert.equal(b.refs.leaves, before + 1);
        members.a.socket.disconnect();
    });

    test('a node is killed, and back by the same name', async (t) => {
        const { redis, nodes, members } = await cluster(t, ['a', 'b'], { times: SLOW });
        const { joins, leaves } = members.b.refs;
        await nodes.a.kill();
        members.a.socket.disconnect();
        const again = await startNode(t, redis, 'a', { times: SLOW });
        const third = await Member.join(again, 'A2');
        await all({ b: members.b, third }, 'A2:online B:online', 5000); // long before down_ms
        assert.deepEqual([members.b.refs.joins, members.b.refs.leaves], [joins + 1, leaves + 1]);
    });

    // Case 14.
    test('a node is told to stop', async (t) => {
        const { nodes, members } = await cluster(t, ['a', 'b'], { times: SLOW });
        const crowd = await Member.join(nodes.a, 'C');
        await members.b.sees('A:online B:online C:online');
        assert.equal(await nodes.a.stop(), 0);
        await members.b.sees('B:online', 5000);
        assert.equal(members.b.refs.leaves, 2);
        for (const member of [members.a, crowd]) member.socket.disconnect();
    });

    // Case 12.
    test('Redis is killed and back', async (t) => {
        const { redis, nodes, members } = await cluster(t, ['a', 'b']);
        const { joins, leaves } = members.b.refs;
        await redis.end();
        const near = await Member.join(nodes.a, 'N'); // goes on
        await all({ a: members.a, near }, 'A:online N:online');
        await members.b.sees('B:online');
        await redis.again();
        await all({ ...members, near }, 'A:online B:online N:online');
        assert.deepEqual([members.b.refs.joins, members.b.refs.leaves], [joins + 2, leaves + 1]);
    });

    test('Redis is away for less than down_ms', async (t) => {
        const { redis, nodes, members } = await cluster(t, ['a', 'b'], { times: SLOW });
        const { leaves } = members.b.refs;
        await redis.end();
        await Member.join(nodes.a, 'N');
        await redis.again();
        await all(members, 'A:online B:online N:online');
        assert.equal(members.b.refs.leaves, leaves);
    });

    test('Redis hangs', async (t) => {
        const { redis, nodes, members } = await cluster(t, ['a', 'b']);
        const { joins, leaves } = members.b.refs;
        redis.signal('SIGSTOP');
        const near = await Member.join(nodes.a, 'N');
        await all({ a: members.a, near }, 'A:online N:online');
        await members.b.sees('B:online');
        redis.signal('SIGCONT');
        await all({ ...members, near }, 'A:online B:online N:online');
        assert.deepEqual([members.b.refs.joins, members.b.refs.leaves], [joins + 2, leaves + 1]);
    });

    // Cases 10 and 18.
    test('a late joiner is told of 100 000', async (t) => {
        const redis = await startRedis(t), count = 100000;
        await startNode(t, redis, 'a', { crowd: count });
        const late = await startNode(t, redis, 'b');
        const began = Date.now();
        const member = await Member.join(late, 'B', 'presence:crowd');
        await until(() => `${member.refs.here.size} of ${count}`,
            () => member.refs.here.size === count + 1);
        t.diagnostic(`after ${Date.now() - began} ms`);
        assert.equal(member.presence.list().length, count + 1);
        assert.equal(member.wrong, null);
    });
});
