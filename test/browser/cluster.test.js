// The chat on two nodes that a Redis joins, with pages of both in Chromium.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { BUILD, Chat, LIMIT_MS, PHONE, Redis, launch, play } = require('./helpers.js');

const skip = Number.parseInt(process.versions.node) < 20 && 'needs Node 20';
const redis = new Redis();
const a = new Chat('a', redis), b = new Chat('b', redis);
let browser;

before(async () => {
    if (skip) return;
    await Promise.all([redis.start(), a.start(), b.start()]);
    browser = await launch();
});

after(async () => {
    await browser?.close();
    const ends = await Promise.all([a, b, redis].filter(({ child }) => child)
        .map((server) => server.end()));
    for (const server of [a, b, redis]) server.remove();
    for (const status of ends) assert.equal(status, 0, `all end well on SIGTERM: ${a.said}${b.said}`);
});

const check = (name, scene) => test(name, { skip }, () => play(browser, [a, b], name, scene));

// Who is in a room by what the node itself says.
async function listOf(chat, room) {
    const answer = await fetch(`http://127.0.0.1:${chat.port}/who?room=${room}`);
    assert.equal(answer.status, 200);
    return answer.json();
}

// The list as pages show it, to who is called `me`.
function inWords(list, me) {
    return Object.entries(list).map(([key, { metas }]) => {
        const nodes = [...new Set(metas.map(({ node }) => node))].sort();
        return [`${key.slice(1)}${key === `@${me}` ? ' (you)' : ''}`,
                metas.some(({ looking }) => looking) ? [] : 'away',
                metas.length > 1 ? `${metas.length} tabs` : [], nodes].flat().join(' ');
    }).sort();
}

function byRef(list) {
    for (const { metas } of Object.values(list))
        metas.sort((one, other) => (one.phx_ref < other.phx_ref ? -1 : 1));
    return list;
}

// A bare Presence of phoenix.js in the page, which keeps a list of its own; gives what reads it.
async function watch(person, room) {
    await person.page.evaluate(async (topic) => {
        const { Presence, Socket } = await import('/phoenix.js');
        const session = await fetch('/session?name=Watcher', { method: 'POST' });
        const socket = new Socket('/socket', { params: { token: await session.text() },
                                               reconnectAfterMs: () => 100 });
        const channel = socket.channel(topic);
        window.watched = new Presence(channel);
        socket.connect();
        await new Promise((resolve) => { channel.join().receive('ok', resolve); });
    }, `room:${room}`);
    return () => person.page.evaluate(() => window.watched.state);
}

// Soon pages, watchers and nodes have the same people, with the same refs.
async function agree(room, people, watchers = []) {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
        try {
            const list = byRef(await listOf(a, room));
            assert.deepEqual(byRef(await listOf(b, room)), list);
            for (const person of people)
                assert.deepEqual((await person.people()).sort(), inWords(list, person.name));
            for (const watcher of watchers) assert.deepEqual(byRef(await watcher()), list);
            return;
        } catch (error) {
            if (Date.now() > end) throw error;
            await new Promise((resolve) => { setTimeout(resolve, 50); });
        }
    }
}

check('people of two nodes see each other, and where they are', async (enter, room) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: b.port });
    await ana.seesPeople('Ana (you) a', 'Ben b');
    await ben.seesPeople('Ben (you) b', 'Ana a');
    await ana.$('.notice').getByText('Ben came in').waitFor();
    await ben.write('Hello');
    await ana.page.getByText('Ben is typing…').waitFor();
    await ben.say('Hello Ana');
    await ana.sees('Hello Ana');
    await ana.say('Hello Ben');
    for (const person of [ana, ben]) await person.sees('Hello Ben');
    await ben.open('coffee');
    await ana.seesPeople('Ana (you) a', 'Ben away b');
    await agree(room, [ana]);
    await ben.leave();
    await ana.$('.notice').getByText('Ben left').waitFor();
    await ana.seesPeople('Ana (you) a');
});

check('what was said on the other node is in the history of both', async (enter) => {
    const ana = await enter('Ana');
    await ana.say('to nobody yet');
    await ana.sees('to nobody yet');
    const ben = await enter('Ben', { port: b.port });
    await ben.sees('to nobody yet');
    await ben.say('I read it');
    await ana.sees('I read it');
    for (const person of [ana, ben]) {
        await person.page.reload();
        await person.sees('I read it');
        assert.deepEqual(await person.texts(), ['to nobody yet', 'I read it']);
    }
});

check('phoenix.js has the list that the nodes have', async (enter, room) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: b.port });
    const watchers = [await watch(ana, room), await watch(ben, room)];
    await agree(room, [ana, ben], watchers);

    const abroad = await enter('Ana', { port: b.port });
    await ben.seesPeople('Ben (you) b', 'Ana 2 tabs a b', 'Watcher away 2 tabs a b');
    await agree(room, [ana, ben, abroad], watchers);
    await abroad.open('coffee');
    await ana.open('coffee');
    await ben.seesPeople('Ben (you) b', 'Ana away 2 tabs a b', 'Watcher away 2 tabs a b');
    await agree(room, [ben], watchers);
    await abroad.leave();
    await ben.seesPeople('Ben (you) b', 'Ana away a', 'Watcher away 2 tabs a b');
    await agree(room, [ben], watchers);

    for (let i = 0; i < 10; i++) await ana.open(i % 2 ? 'coffee' : room);
    const proto = await enter('__proto__', { port: b.port });
    await proto.seesPeople('__proto__ (you) b', 'Ana away a', 'Ben b', 'Watcher away 2 tabs a b');
    await agree(room, [ben, proto], watchers);
});

check('the people of a node that is killed leave, and come back with it', async (enter, room) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: b.port });
    const watchers = [await watch(ana, room)];
    await ana.seesPeople('Ana (you) a', 'Ben b', 'Watcher away a');
    const killed = Date.now();
    assert.equal(await b.end('SIGKILL'), 'SIGKILL');
    await ben.disconnected();
    assert.equal(await ben.$('#people.stale').count(), 1, 'what a page without a server shows is old');
    await ana.seesPeople('Ana (you) a', 'Watcher away a');
    assert.ok(Date.now() - killed > 3500, 'not before it has been silent for a while');
    await ana.$('.notice').getByText('Ben left').waitFor();
    await ana.say('Ben?');

    await b.start();
    await ana.seesPeople('Ana (you) a', 'Ben b', 'Watcher away a');
    await agree(room, [ana, ben], watchers);
    await ben.say('I am back');
    await ana.sees('I am back');
});

check('a node that is restarted at once leaves no ghost behind', async (enter, room) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: b.port });
    const cleo = await enter('Cleo', { port: b.port });
    const watchers = [await watch(ana, room)];
    await ana.seesPeople('Ana (you) a', 'Ben b', 'Cleo b', 'Watcher away a');
    await b.end('SIGKILL');
    await cleo.leave();
    await b.start();
    await ben.connected();
    await ana.seesPeople('Ana (you) a', 'Ben b', 'Watcher away a');
    await agree(room, [ana, ben], watchers);
});

check('without Redis each node goes on alone, and finds the other again', async (enter, room) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: b.port });
    const watchers = [await watch(ana, room), await watch(ben, room)];
    await agree(room, [ana, ben], watchers);
    await redis.end();
    await ana.say('Is anybody there?');
    await ana.sees('Is anybody there?');
    await ben.open('coffee');
    await ana.seesPeople('Ana (you) a', 'Watcher away a');
    assert.match(a.said, /Redis is not there/);

    await redis.start();
    await ana.seesPeople('Ana (you) a', 'Ben away b', 'Watcher away 2 tabs a b');
    await agree(room, [ana], watchers);
    assert.match(a.said, /Redis: is back/);
    await ben.open(room);
    await ben.say('Here I am');
    await ana.sees('Here I am');
});

test('--redis that cannot be is told', { skip }, () => {
    const chat = (...options) => {
        try {
            return execFileSync(path.join(BUILD, 'examples', 'chat'), options,
                                { stdio: 'pipe', encoding: 'utf8' });
        } catch (error) {
            return error.stderr;
        }
    };
    const db = ['--db', path.join(a.dir, 'none.db')];
    assert.match(chat('--redis', '127.0.0.1:6379'), /^usage: /, 'the node lacks a name');
    for (const address of ['127.0.0.1:x', '127.0.0.1:70000', 'x'.repeat(300)])
        assert.match(chat(...db, '--node', 'c', '--redis', address),
                     /--redis takes HOST:PORT or the path of a socket/);
});

check('pictures', async (enter) => {
    const ana = await enter('Ana', { room: 'lobby', deviceScaleFactor: 2 });
    const ben = await enter('Ben', { room: 'lobby', port: b.port });
    const cleo = await enter('Cleo', { room: 'lobby', port: b.port, ...PHONE, colorScheme: 'dark' });
    await enter('Cleo', { room: 'lobby' });
    await enter('Dana', { room: 'coffee' });
    const talk = [
        [cleo, 'Good morning! Is it me, or was the server gone for a moment?'],
        [ben, 'That was me, sorry. I restarted ours while you were talking.'],
        [ben, 'Did you lose anything?'],
        [ana, 'No. I am on the other one: I saw you both leave, and come back.'],
        [cleo, 'It said “Reconnecting”, and then it went on as if nothing had been.'],
        [ana, 'And these are C programs on the other side? The page does not seem to mind.'],
        [ben, 'It does not know. Coffee?'],
    ];
    for (const [person, text] of talk) {
        await person.say(text);
        for (const other of [ana, ben, cleo]) await other.sees(text);
    }
    await ben.open('coffee');
    await ben.say('I am here already');
    await ana.$('#rooms .count').getByText('1').waitFor();
    await ben.open('lobby');
    await ana.seesPeople('Ana (you) a', 'Ben b', 'Cleo 2 tabs a b', 'Dana away a');
    await ben.write('Come over');
    fs.mkdirSync(BUILD, { recursive: true });
    for (const [person, file] of [[ana, 'chat.png'], [cleo, 'chat-phone.png']]) {
        await person.page.getByText('Ben is typing…').waitFor();
        await person.page.screenshot({ path: path.join(BUILD, file), animations: 'disabled' });
    }
});
