// What the runners here are told: options, a folder, and a server or how to start one.
'use strict';

// { dir, address } or { dir, command }, and a value for each of `options`, which are functions that
// read it from its text: undefined means that it is wrong. Prints `usage` and ends if anything is.
function parse(options, usage, args = process.argv.slice(2)) {
    const wrong = () => { console.error(usage); process.exit(2); };
    const parsed = {};
    while (/^--./.test(args[0])) {
        const [option, value = ''] = args.splice(0, 2);
        parsed[option.slice(2)] = options[option.slice(2)]?.(value) ?? wrong();
    }
    parsed.dir = args.shift() || wrong();
    if (args[0] === '--' && args.length > 1) parsed.command = args.slice(1);
    else parsed.address = (args.length === 1 && parseAddress(args[0])) || wrong();
    return parsed;
}

function parseAddress(text) {
    const [, host, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text) ?? [];
    return port && { host, port: Number(port) };
}

const pattern = (text) => (text ? new RegExp(text) : undefined);
const list = (text) => (text ? text.split(',') : undefined);

module.exports = { list, parse, pattern };
