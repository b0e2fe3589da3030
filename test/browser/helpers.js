// A chat server of one's own, a cable that can be pulled, and people who sit at browsers.
'use strict';

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

const running = new Set();

// Nothing may outlive the tests, however they end.
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

// The chat program with a database of its own, which outlives a restart.
class Chat {
    constructor() {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-'));
        this.port = 0;
        this.said = ''; // on standard error
    }

    async start() {
        const child = spawn(CHAT, [
            '--port', String(this.port), '--db', path.join(this.dir, 'chat.db'),
            '--root', path.join(TOP, 'examples', 'chat'),
        ], { stdio: ['ignore', 'pipe', 'pipe'] });
        running.add(child);
        this.child = child;
        child.stderr.on('data', (data) => { this.said += data; });
        this.ended = new Promise((resolve) => {
            child.once('exit', (status, signal) => resolve(signal ?? status));
            child.once('error', (error) => resolve(error.message));
        });
        this.ended.then(() => running.delete(child));
        const line = new Promise((resolve) => {
            readline.createInterface({ input: child.stdout }).once('line', resolve);
        });
        const first = await within(Promise.race([line, this.ended]), 'first line of the chat');
        const [, port] = /^chat on http:\/\/127\.0\.0\.1:(\d+)$/.exec(first) ?? [];
        if (!port) throw new Error(`${CHAT} did not say where it listens: ${first} ${this.said}`);
        this.port = Number(port);
    }

    // Gives the exit status, or the signal it died of.
    async end(signal = 'SIGTERM') {
        this.child.kill(signal);
        return within(this.ended, `end of the chat on ${signal}`);
    }

    remove() {
        fs.rmSync(this.dir, { recursive: true, force: true });
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

    async texts() { return this.$('#log li.message .text').allTextContents(); }

    async leave() { await this.context.close(); }
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

module.exports = { BUILD, Cable, Chat, Person, launch };
