// The page of examples/game in Chromium: it draws what the ticks say, and the arrows steer.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { start } = require('../conformance/server.js');
const { BUILD, launch } = require('./helpers.js');

const skip = Number.parseInt(process.versions.node) < 20 && 'needs Node 20';
let server, browser;

before(async () => {
    if (skip) return;
    server = await start([path.join(BUILD, 'examples', 'game'), '0']);
    browser = await launch();
});

after(async () => {
    await browser?.close();
    if (server) assert.equal(await server.end('SIGTERM'), 0);
});

// Runs in the page: whether something is drawn at that place of the canvas.
function isDrawn([x, y]) {
    const canvas = document.querySelector('canvas');
    return canvas.getContext('2d').getImageData(x, y, 1, 1).data[3] > 0;
}

test('the arrows move a player, as the other page sees', { skip, timeout: 20000 }, async () => {
    const pages = [];
    for (let i = 0; i < 2; i++) {
        pages.push(await browser.newPage());
        await pages[i].goto(`http://127.0.0.1:${server.port}/#arena`);
        await pages[i].waitForFunction(isDrawn, [320, 200]);
    }
    await pages[0].bringToFront();
    await pages[0].keyboard.down('ArrowRight');
    for (const page of pages) await page.waitForFunction(isDrawn, [400, 200], { polling: 20 });
    await pages[0].keyboard.up('ArrowRight');
    assert.ok(await pages[1].evaluate(isDrawn, [320, 200]), 'the other one stays');
});
