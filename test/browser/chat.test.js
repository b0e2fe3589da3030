// The chat as people see it: the example program, its page and phoenix.js in Chromium.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { after, before, test } = require('node:test');
const { Cable, Chat, PHONE, launch, play } = require('./helpers.js');

const skip = Number.parseInt(process.versions.node) < 20 && 'needs Node 20';
const chat = new Chat();
let browser;

before(async () => {
    if (skip) return;
    await chat.start();
    browser = await launch();
});

after(async () => {
    await browser?.close();
    const status = chat.child ? await chat.end() : 0;
    chat.remove();
    assert.equal(status, 0, `the chat ends well on SIGTERM: ${chat.said}`);
});

const check = (name, scene) => test(name, { skip }, () => play(browser, [chat], name, scene));

check('two people talk, and see who says what', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    await ana.$('.notice').getByText('Ben came in').waitFor();
    await ana.say('Hello Ben');
    await ben.sees('Hello Ben');
    await ben.say('Hello Ana');
    await ana.sees('Hello Ana');
    await ana.say('one\nand two');
    await ben.sees('one\nand two');
    for (const person of [ana, ben])
        assert.deepEqual(await person.texts(), ['Hello Ben', 'Hello Ana', 'one\nand two']);
    assert.deepEqual(await ben.$('.message .who b').allTextContents(), ['Ana', 'Ben', 'Ana']);
    assert.equal(await ben.$('.message.own').count(), 1);
    assert.match(await ben.$('.message time').first().textContent(), /^\d\d:\d\d$/);
    await ben.leave();
    await ana.$('.notice').getByText('Ben left').waitFor();
});

check('who is there is shown: who has the room before him, who is away', async (enter) => {
    const ana = await enter('Ana');
    assert.deepEqual(await ana.people(), ['Ana (you)']);
    const ben = await enter('Ben');
    await ana.seesPeople('Ana (you)', 'Ben');
    await ben.seesPeople('Ben (you)', 'Ana');
    const room = await ben.$('#rooms [aria-current] .name').textContent();
    await ben.open('coffee');
    await ana.seesPeople('Ana (you)', 'Ben away');
    await ben.seesPeople('Ben (you)', 'Ana away');
    await ben.open(room);
    await ana.seesPeople('Ana (you)', 'Ben');

    await ben.page.evaluate(() => {
        Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    });
    await ana.seesPeople('Ana (you)', 'Ben away');
    await ben.leave();
    await ana.seesPeople('Ana (you)');
});

check('someone in two tabs is one, and leaves with the last of them', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    const again = await enter('Ben');
    await ana.seesPeople('Ana (you)', 'Ben 2 tabs');
    await again.open('coffee');
    await ana.seesPeople('Ana (you)', 'Ben 2 tabs');
    await ben.open('coffee');
    await ana.seesPeople('Ana (you)', 'Ben away 2 tabs');
    await again.leave();
    await ana.seesPeople('Ana (you)', 'Ben away');
    assert.deepEqual(await ana.$('.notice').allTextContents(), ['Ben came in']);
    await ben.leave();
    await ana.$('.notice').getByText('Ben left').waitFor();
});

check('typing shows, and ends', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    await ben.write('I am thinking');
    await ana.page.getByText('Ben is typing…').waitFor();
    await ben.page.keyboard.press('Enter');
    await ana.sees('I am thinking');
    await ana.page.getByText('Ben is typing…').waitFor({ state: 'hidden' });
    await ben.write('and then nothing');
    await ana.page.getByText('Ben is typing…').waitFor();
    await ana.page.getByText('Ben is typing…').waitFor({ state: 'hidden' });
});

check('what is said while one is away arrives once', async (enter) => {
    const cable = new Cable(chat.port);
    await cable.plug();
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: cable.port });
    await ana.say('before');
    await ben.sees('before');

    await cable.pull();
    await ben.disconnected();
    await ana.say('Ben?');
    await ben.say('I am cut off');
    await ben.$('.pending').getByText('waiting for the connection').waitFor();
    await ana.say('Can you read this?');
    await ana.sees('Can you read this?');

    await cable.plug();
    await ben.connected();
    await ana.sees('I am cut off');
    await ana.say('after');
    for (const person of [ana, ben]) {
        await person.sees('after');
        assert.deepEqual(await person.texts(),
                         ['before', 'Ben?', 'Can you read this?', 'I am cut off', 'after']);
    }
    assert.equal(await ben.$('.pending').count(), 0);
    await ben.leave();
    await cable.pull();
});

check('what was confirmed in vain is not said twice', async (enter) => {
    const cable = new Cable(chat.port);
    await cable.plug();
    const ana = await enter('Ana', { port: cable.port });
    const ben = await enter('Ben');
    cable.deafen();
    await ana.say('can you hear me?');
    await ben.sees('can you hear me?');
    assert.equal(await ana.$('.pending').count(), 1);
    await cable.pull();
    await ana.disconnected();
    await cable.plug();
    await ana.sees('can you hear me?');
    await ana.say('good');
    for (const person of [ana, ben]) {
        await person.sees('good');
        assert.deepEqual(await person.texts(), ['can you hear me?', 'good']);
    }
    await ana.leave();
    await cable.pull();
});

check('where no WebSocket gets through it goes on by long polling', async (enter) => {
    const cable = new Cable(chat.port);
    cable.blocked = 0;
    await cable.plug();
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: cable.port });
    await ana.$('.notice').getByText('Ben came in').waitFor();
    await ana.say('Hello Ben');
    await ben.sees('Hello Ben');
    await ben.write('Hello');
    await ana.page.getByText('Ben is typing…').waitFor();
    await ben.say('Hello Ana');
    await ana.sees('Hello Ana');
    await ana.sayAll(Array.from({ length: 30 }, (_, i) => `line ${i + 1}`));
    await ben.sees('line 30');
    assert.deepEqual(await ben.texts(), await ana.texts());

    const before = cable.blocked;
    assert.ok(before > 0, 'a WebSocket was tried');
    assert.equal(await ben.page.evaluate(() => sessionStorage.getItem('phx:fallback:LongPoll')),
                 'true');
    await ben.page.reload();
    await ben.connected();
    await ben.say('and it is remembered');
    await ana.sees('and it is remembered');
    assert.equal(cable.blocked, before, 'no WebSocket is tried again');
    await ben.leave();
    await cable.pull();
});

check('a long absence is caught up with', async (enter) => {
    const cable = new Cable(chat.port);
    await cable.plug();
    const ana = await enter('Ana');
    const ben = await enter('Ben', { port: cable.port });
    await ana.say('before');
    await ben.sees('before');
    await cable.pull();
    await ben.disconnected();
    const missed = Array.from({ length: 120 }, (_, i) => `line ${i + 1}`);
    await ana.sayAll(missed);
    await ana.sees('line 120');

    await cable.plug();
    await ben.sees('line 120');
    assert.deepEqual(await ben.texts(), ['before', ...missed]);
    const cleo = await enter('Cleo');
    await cleo.sees('line 120');
    assert.deepEqual(await cleo.texts(), missed.slice(-50), 'a newcomer gets the last page');
    await ben.leave();
    await cable.pull();
});

check('a killed server comes back with everything', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    await ana.say('before');
    await ben.sees('before');
    assert.equal(await chat.end('SIGKILL'), 'SIGKILL');
    await ana.disconnected();
    await ana.say('one');
    await ana.say('two');
    await ben.disconnected();
    await chat.start();
    await ben.sees('two');
    await ben.say('three');
    await ana.sees('three');
    for (const person of [ana, ben])
        assert.deepEqual(await person.texts(), ['before', 'one', 'two', 'three']);
    await ana.page.reload();
    await ana.sees('three');
    assert.deepEqual(await ana.texts(), ['before', 'one', 'two', 'three'], 'the history');
});

check('what waits to be sent survives a reload', async (enter) => {
    const ana = await enter('Ana');
    // The tab's outbox as it is left by a page that could send no more.
    await ana.page.evaluate(() => {
        const name = decodeURIComponent(location.hash.slice(1));
        sessionStorage.setItem(`outbox:${name}`, JSON.stringify([['some-uuid', 'not lost']]));
    });
    await ana.page.reload();
    await ana.sees('not lost');
    await ana.page.reload();
    await ana.sees('not lost');
    assert.deepEqual(await ana.texts(), ['not lost']);
});

check('the private room says why it is closed', async (enter) => {
    const ana = await enter('Ana');
    await ana.open('private');
    const reason = ana.page.getByText('This room is private: you would have to be invited.');
    await reason.waitFor();
    assert.equal(await ana.$('#composer').isVisible(), false);
    await ana.page.getByRole('button', { name: 'Ask again' }).click();
    await reason.waitFor();
    await ana.open('lobby');
    await ana.$('#composer').waitFor();
});

check('hostile text is shown as text', async (enter) => {
    const hostile = '<img src=x onerror="document.title=\'owned\'">';
    const ana = await enter(hostile.slice(0, 32));
    const ben = await enter('<b>Ben</b>');
    await ana.$('.notice').getByText('<b>Ben</b> came in').waitFor();
    const script = '</span><script>document.title="owned"</script>';
    for (const text of [hostile, script, '"\\\u2028&lt;']) {
        await ana.say(text);
        await ben.sees(text);
    }
    assert.equal(await ben.$('#log img, #log script, #log b b').count(), 0);
    assert.equal(await ben.$('.who b').first().textContent(), hostile.slice(0, 32));
    assert.equal(await ben.page.title(), 'Chat');
});

check('what is refused says why', async (enter) => {
    const ana = await enter('Ana');
    await ana.page.evaluate(() => document.getElementById('text').removeAttribute('maxlength'));
    await ana.say('x'.repeat(1001));
    await ana.$('.failed').getByText('a message has 1 to 1000 characters').waitFor();
    await ana.page.getByRole('button', { name: 'Discard' }).click();
    await ana.say('ż'.repeat(1000));
    await ana.sees('ż'.repeat(1000));
    assert.equal((await ana.texts()).length, 1);
});

check('bad input is answered', async (enter) => {
    const ana = await enter('Ana');
    const answers = await ana.page.evaluate(async () => {
        const { Socket } = await import('/phoenix.js');
        const session = await fetch('/session?name=Ben', { method: 'POST' });
        const token = await session.text();
        const socket = new Socket('/socket', { params: { token } });
        const answer = (push) => new Promise((resolve) => {
            for (const status of ['ok', 'error', 'timeout'])
                push.receive(status, (response) => resolve(response.reason ?? status));
        });
        const join = async (topic, params) => {
            const channel = socket.channel(topic, params);
            const how = await answer(channel.join());
            if (how !== 'ok') channel.leave();
            return how;
        };
        socket.connect();
        const joins = [];
        for (const what of [undefined, 'x', -1, 1e300])
            joins.push(await join('room:bad-input', { last_seen_id: what, node: what, looking: what }));
        const rooms = [await join('room:'), await join('room:' + 'x'.repeat(41)),
                       await join('hall:x')];
        const channel = socket.channel('room:bad');
        await answer(channel.join());
        const pushes = [];
        for (const [event, payload] of [['new_msg', {}], ['new_msg', { uuid: 'u', text: ' \n ' }],
                                        ['new_msg', { uuid: 'u', text: ['x'] }],
                                        ['new_msg', { text: 'x' }], ['shout', {}],
                                        ['new_msg', { uuid: 'u', text: 'x' }]])
            pushes.push(await answer(channel.push(event, payload)));
        socket.disconnect();
        return { joins, rooms, pushes };
    });
    const text = 'a message has 1 to 1000 characters';
    const room = 'the name of a room has 1 to 40 characters';
    assert.deepEqual(answers, {
        joins: ['ok', 'ok', 'ok', 'ok'],
        rooms: [room, room, 'unmatched topic'],
        pushes: ['a message needs a uuid', text, text, 'a message needs a uuid',
                 'a room knows no such event', 'ok'],
    });
});

check('a name is what the server has signed', async (enter) => {
    const ana = await enter('Ana');
    const seen = await ana.page.evaluate(async () => {
        const { Socket } = await import('/phoenix.js');
        const ask = (query) => fetch(`/session${query}`, { method: 'POST' });
        const token = await (await ask('?name=Ben')).text();
        const [head, term, mac] = token.split('.');
        const inside = atob(term.replace(/-/g, '+').replace(/_/g, '/'));
        const forged = btoa(inside.replace('Ben', 'Ana')).replace(/\+/g, '-').replace(/\//g, '_')
            .replace(/=/g, '');
        const connect = (params) => new Promise((resolve) => {
            const socket = new Socket('/socket', { params });
            const end = (how) => { socket.disconnect(); resolve(how); };
            socket.onOpen(() => end('welcome'));
            socket.onError(() => end('refused'));
            socket.connect();
        });
        const connects = [];
        for (const params of [{ token }, {}, { name: 'Ana' }, { token: '' },
                              { token: [head, forged, mac].join('.') }, { token: `${token}x` },
                              { token: 'x'.repeat(4000) }])
            connects.push(await connect(params));
        const names = [];
        for (const query of ['', '?name=', '?name=%20', `?name=${'x'.repeat(33)}`, '?name=a%0Ab',
                             '?name=%01', '?name=%FF', '?name[]=x'])
            names.push((await ask(query)).status);
        names.push((await ask(`?name=${encodeURIComponent('Ö'.repeat(32))}`)).status);
        return { inside: inside.includes('Ben'), connects, names };
    });
    assert.deepEqual(seen, {
        inside: true,
        connects: ['welcome', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused'],
        names: [400, 400, 400, 400, 400, 400, 400, 400, 200],
    });
});

check('a name that is refused can be given again', async (enter) => {
    const ana = await enter('Ana');
    await ana.page.getByRole('button', { name: 'Ana' }).click();
    await ana.page.getByLabel('Your name').fill('A\u007fna');
    await ana.page.getByRole('button', { name: 'Save' }).click();
    await ana.$('#name:invalid').waitFor();
    assert.equal(await ana.$('#name').evaluate((name) => name.validationMessage),
                 'Your name must have 1 to 32 characters');
    await ana.page.getByLabel('Your name').fill('Anna');
    await ana.page.getByRole('button', { name: 'Save' }).click();
    await ana.$('#me-name').getByText('Anna').waitFor();
});

check('a reader of old lines is left alone, and told of new ones', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    await ben.sayAll(Array.from({ length: 40 }, (_, i) => `line ${i + 1}`));
    await ana.sees('line 40');
    const isAtEnd = () => ana.$('#log').evaluate(
        (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 2);
    assert.equal(await isAtEnd(), true, 'follows what is said');

    await ana.$('#log').hover();
    await ana.page.mouse.wheel(0, -2000);
    await ana.page.getByText('line 1', { exact: true }).waitFor();
    await ben.say('news');
    await ana.page.getByRole('button', { name: '1 new message' }).click();
    assert.equal(await isAtEnd(), true);
    await ana.page.getByRole('button', { name: '1 new message' }).waitFor({ state: 'hidden' });

    await ana.open('coffee');
    await ben.say('elsewhere');
    await ana.$('#rooms .count').getByText('1').waitFor();
    assert.equal(await ana.page.title(), '(1) Chat');
});

check('a new name is taken over', async (enter) => {
    const ana = await enter('Ana');
    const ben = await enter('Ben');
    await ana.page.getByRole('button', { name: 'Ana' }).click();
    await ana.page.getByLabel('Your name').fill('Anna');
    await ana.page.getByRole('button', { name: 'Save' }).click();
    await ben.$('.notice').getByText('Anna came in').waitFor();
    await ana.say('I am Anna now');
    await ben.sees('I am Anna now');
    assert.equal(await ben.$('.who b').first().textContent(), 'Anna');
    await ana.page.reload();
    await ana.connected();
    assert.equal(await ana.$('#me-name').textContent(), 'Anna', 'it is remembered');
});

check('fits a phone', async (enter) => {
    const ana = await enter('Ana', { ...PHONE, colorScheme: 'dark' });
    const ben = await enter('Ben', PHONE);
    await ben.say('w'.repeat(300));
    await ana.sees('w'.repeat(300));
    for (const person of [ana, ben]) {
        const widths = await person.page.evaluate(() => [
            window.innerWidth, document.documentElement.scrollWidth,
            document.getElementById('log').scrollWidth,
        ]);
        assert.deepEqual(widths, [375, 375, 375]);
        const send = await person.page.getByRole('button', { name: 'Send' }).boundingBox();
        assert.ok(send.x + send.width <= 375 && send.y + send.height <= 720, 'it can be reached');
    }
    const people = ana.page.getByRole('complementary', { name: '2 people here' });
    assert.equal(await people.isVisible(), false);
    await ana.page.getByRole('button', { name: '2 people here' }).click();
    await people.getByText('Ben').waitFor();
    await ana.page.getByRole('button', { name: '2 people here' }).click();
    await people.waitFor({ state: 'hidden' });
});

check('serves its page and nothing else', async () => {
    const ask = (target, method = 'GET', headers = {}) => new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port: chat.port, path: target, method,
                                       headers, agent: false });
        request.on('error', reject);
        request.on('upgrade', (response, socket) => { socket.destroy(); resolve(response); });
        request.on('response', (response) => {
            response.length = 0;
            response.on('data', (data) => { response.length += data.length; });
            response.on('end', () => resolve(response));
        });
        request.end();
    });
    const who = await ask('/who?room=nobody');
    assert.equal(who.headers['content-type'], 'application/json');
    assert.equal(who.length, '{}'.length);
    assert.equal((await ask(`/who?room=${'x'.repeat(1000)}`)).statusCode, 200);
    const types = { '/': 'text/html', '/chat.css': 'text/css', '/chat.js': 'text/javascript',
                    '/phoenix.js': 'text/javascript' };
    for (const [target, type] of Object.entries(types)) {
        const get = await ask(target);
        const head = await ask(target, 'HEAD');
        assert.equal(get.statusCode, 200, target);
        assert.equal(get.headers['content-type'], `${type}; charset=utf-8`);
        assert.equal(get.headers['content-length'], String(get.length));
        assert.equal(head.statusCode, 200, target);
        assert.equal(head.length, 0);
        assert.equal(head.headers['content-length'], get.headers['content-length']);
    }
    for (const target of ['/chat.c', '/chat.db', '/../chat/chat.c', '/..%2fchat.c', '//etc/passwd',
                          '/node_modules/phoenix/package.json', '/index.html'])
        assert.equal((await ask(target)).statusCode, 404, target);
    assert.equal((await ask('/', 'DELETE')).statusCode, 404);

    const session = await fetch(`http://127.0.0.1:${chat.port}/session?name=Ana`,
                                { method: 'POST' });
    const target = `/socket/websocket?vsn=2.0.0&token=${await session.text()}`;
    const upgrade = (origin) => ask(target, 'GET', {
        origin, connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    });
    assert.equal((await upgrade(`http://127.0.0.1:${chat.port}`)).statusCode, 101);
    assert.equal((await upgrade('http://elsewhere.example')).statusCode, 403);
});
