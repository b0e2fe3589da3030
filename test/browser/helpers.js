// Chat servers of one's own, the Redis between them, a cable that can be pulled, and people who sit
// at browsers.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const TOP = path.join(__dirname, '..', '..');
const BUILD = path.resolve(TOP, process.env.BUILD ?? 'build');
const CHAT = process.env.CHAT ?? path.join(BUILD, 'examples', 'chat');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const LIMIT_MS = 10000;
const SECRET = 'what the nodes of the tests sign tokens with, and nobody else';
const PHONE = { viewport: { width: 375, height: 720 }, deviceScaleFactor: 2, isMobile: true,
                hasTouch: true };

const running = new Set();

// Nothing may outlive the tests, however they end.
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

// A program with a folder of its own, which outlives a restart.
class Server {
    constructor(name) {
        this.name = name;
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
        this.said = ''; // on standard error
    }

    // Until it prints a line that matches `ready`; gives what that caught.
    async run(program, args, ready, env = process.env) {
        const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
        running.add(child);
        this.child = child;
        child.stderr.on('data', (data) => { this.said += data; });
        this.ended = new Promise((resolve) => {
            child.once('exit', (status, signal) => resolve(signal ?? status));
            child.once('error', (error) => resolve(error.message));
        });
        this.ended.then(() => running.delete(child));
        const line = new Promise((resolve) => {
            readline.createInterface({ input: child.stdout }).on('line', (text) => {
                const found = ready.exec(text);
                if (found) resolve(found);
            });
        });
        const failed = this.ended.then((how) => {
            throw new Error(`${program} ended with ${how}: ${this.said}`);
        });
        return within(Promise.race([line, failed]), `word of ${program}`);
    }

    // Gives the exit status, or the signal it died of.
    async end(signal = 'SIGTERM') {
        this.child.kill(signal);
        return within(this.ended, `end of the ${this.name} on ${signal}`);
    }

    remove() {
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}

// The chat, alone or as a node that a Redis joins with others.
class Chat extends Server {
    constructor(node, redis) {
        super('chat');
        this.port = 0;
        this.options = node === undefined ? [] : ['--node', node, '--redis', redis.socket];
        this.env = { ...process.env };
        if (node !== undefined) this.env.SECRET_KEY_BASE = SECRET; // tokens outlive a restart
    }

    async start() {
        const [, port] = await this.run(CHAT, [
            '--port', String(this.port), '--db', path.join(this.dir, 'chat.db'),
            '--root', path.join(TOP, 'examples', 'chat'), ...this.options,
        ], /^chat on http:\/\/127\.0\.0\.1:(\d+)(?:, node \w+)?$/, this.env);
        this.port = Number(port);
    }
}

// A Redis on a socket in its folder.
class Redis extends Server {
    constructor() {
        super('redis');
        this.socket = path.join(this.dir, 'redis.sock');
    }

    async start() {
        await this.run('redis-server', ['--port', '0', '--unixsocket', this.socket, '--save', '',
                                        '--appendonly', 'no', '--dir', this.dir],
                       /ready to accept connections/i);
    }
}

// A port of its own that leads to another one until it is pulled.
class Cable {
    constructor(to) {
        this.to = to;
        this.port = 0;
        this.ends = new Set();
        this.blocked = null; // how many WebSockets it has not let through; null: it lets them
    }

    async plug() {
        this.server = net.createServer((near) => {
            near.on('data', (data) => {
                if (this.blocked === null || !/^upgrade: *websocket/im.test(data)) return;
                this.blocked++;
                near.destroy();
            });
            const far = net.connect(this.to, '127.0.0.1');
            for (const [end, other] of [[near, far], [far, near]]) {
                this.ends.add(end);
                end.on('error', () => {}); // 'close' follows
                end.on('close', () => { this.ends.delete(end); other.destroy(); });
                end.pipe(other);
            }
        });
        await new Promise((resolve, reject) => {
            this.server.once('error', reject);
            this.server.listen(this.port, '127.0.0.1', resolve);
        });
        this.port = this.server.address().port;
    }

    // What the server says gets lost from now on.
    deafen() {
        for (const end of this.ends) {
            if (end.remotePort !== this.to) continue;
            end.unpipe();
            end.resume();
        }
    }

    async pull() {
        if (!this.server.listening) return;
        const closed = new Promise((resolve) => { this.server.close(resolve); });
        for (const end of this.ends) end.destroy();
        await closed;
    }
}

// Someone in a room, in a browser of their own as far as the page can tell.
class Person {
    static async enter(browser, port, name, { room = 'lobby', ...options } = {}) {
        const person = new Person();
        const context = await browser.newContext({
            viewport: { width: 1200, height: 760 }, locale: 'en-GB', ...options,
        });
        const page = await context.newPage();
        page.setDefaultTimeout(LIMIT_MS);
        Object.assign(person, { name, context, page, errors: [] });
        page.on('pageerror', (error) => person.errors.push(error.stack));
        await page.goto(`http://127.0.0.1:${port}/#${room}`);
        await page.getByLabel('Your name').fill(name);
        await page.getByRole('button', { name: 'Start chatting' }).click();
        await person.connected();
        return person;
    }

    $(selector) { return this.page.locator(selector); }

    async connected() { await this.$('#connection[data-state=connected]').waitFor(); }

    async disconnected() { await this.$('#connection[data-state=lost]').waitFor(); }

    async open(room) {
        await this.$('#rooms').getByRole('link', { name: room, exact: true }).click();
    }

    async write(text) { await this.page.getByLabel('Message', { exact: true }).fill(text); }

    async say(text) {
        await this.write(text);
        await this.page.keyboard.press('Enter');
    }

    // Says many things faster than anyone could.
    async sayAll(texts) {
        await this.page.evaluate((all) => {
            for (const text of all) {
                document.getElementById('text').value = text;
                document.getElementById('composer').requestSubmit();
            }
        }, texts);
    }

    // Waits until the server has confirmed a message that ends the list.
    async sees(text) {
        await this.$('#log li.message:not(.pending, .failed)').last()
            .filter({ has: this.page.getByText(text, { exact: true }) }).waitFor();
    }

    // Who is there, as the page says it: "Ben away 2 tabs b".
    async people() {
        return this.$('#people-list li').evaluateAll((lines) => lines.map((line) => {
            const words = [...line.querySelectorAll(':scope > :not(.avatar)')];
            return words.map((word) => word.textContent.replace(' · ', ' ')).filter(Boolean).join(' ');
        }));
    }

    async seesPeople(...people) {
        const end = Date.now() + LIMIT_MS;
        while (Date.now() < end && String(await this.people()) !== String(people))
            await this.page.waitForTimeout(50);
        assert.deepEqual(await this.people(), people);
    }

    async texts() { return this.$('#log li.message .text').allTextContents(); }

    async leave() { await this.context.close(); }
}

// A scene in a room of its own. `enter` brings people in, to the first of the chats unless they name
// another one's port, and they must leave no error behind.
async function play(browser, chats, name, scene) {
    const people = [];
    const room = name.replace(/\W+/g, '-').slice(0, 40);
    const enter = async (who, options = {}) => {
        const { port = chats[0].port, ...others } = options;
        people.push(await Person.enter(browser, port, who, { room, ...others }));
        return people.at(-1);
    };
    try {
        await scene(enter, room);
        for (const person of people) assert.deepEqual(person.errors, []);
    } catch (error) {
        for (const { said } of chats) console.log(said);
        throw error;
    } finally {
        await Promise.all(people.map((person) => person.leave()));
    }
}

async function within(promise, what) {
    let timer;
    const late = new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no ${what} in ${LIMIT_MS} ms`)), LIMIT_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Loaded here, as it does not know older versions of Node.
async function launch() {
    const { chromium } = require('playwright-core');
    return chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
               '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
}

module.exports = { BUILD, Cable, Chat, LIMIT_MS, PHONE, Person, Redis, launch, play };
