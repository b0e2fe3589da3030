// Reads a folder of case files and makes single cases of their families. README.md tells the
// format.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const FILE_KEYS = ['about', 'rfc', 'path', 'open', 'cases'];
const CASE_KEYS = ['name', 'about', 'rfc', 'path', 'open', 'each', 'pieces', 'send', 'expect'];

// All cases of the folder, files in the order of their names. `skip`: files left out.
function load(dir, skip = []) {
    const files = fs.readdirSync(dir).filter((file) => file.endsWith('.json')).sort();
    const cases = files
        .map((file) => path.basename(file, '.json'))
        .filter((topic) => !skip.includes(topic))
        .flatMap((topic) => read(topic, path.join(dir, `${topic}.json`)));
    demandNames(cases);
    return cases;
}

function read(topic, file) {
    const { about, cases, ...defaults } = JSON.parse(fs.readFileSync(file, 'utf8'));
    demandKeys({ about, cases, ...defaults }, FILE_KEYS, file);
    return cases.flatMap((one) => {
        demandKeys(one, CASE_KEYS, `${file}: ${one.name}`);
        return family({ topic, open: 'join', ...defaults, ...one });
    });
}

// A misspelt key would be a case that tests nothing.
function demandKeys(object, known, where) {
    const stranger = Object.keys(object).find((key) => object[key] !== undefined
        && !known.includes(key));
    if (stranger) throw new Error(`${where}: unknown key "${stranger}"`);
}

function demandNames(cases) {
    const seen = new Set();
    for (const { topic, name } of cases) {
        const whole = `${topic}: ${name}`;
        if (seen.has(whole)) throw new Error(`two cases of the name "${whole}"`);
        seen.add(whole);
    }
}

// One case for each combination of the values in `each`.
function family({ each = {}, ...one }) {
    let all = [{}];
    for (const [name, values] of Object.entries(each))
        all = all.flatMap((vars) => list(values).map((value) => ({ ...vars, [name]: value })));
    return all.map((vars) => fill(one, vars));
}

function list(values) {
    if (Array.isArray(values)) return values;
    const { from, to, hex } = values;
    const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    return hex ? numbers.map((n) => n.toString(16).padStart(2, '0')) : numbers;
}

// "{n}" alone becomes the value itself, inside a longer string its text; "{row.code}" is a member.
// Braces around anything else stay.
function fill(value, vars) {
    if (typeof value === 'string') {
        const [whole] = /^\{[\w.]+\}$/.exec(value) ?? [];
        const found = whole && look(whole.slice(1, -1), vars);
        if (found !== undefined) return found;
        return value.replace(/\{([\w.]+)\}/g, (text, name) => look(name, vars) ?? text);
    }
    if (Array.isArray(value)) return value.map((item) => fill(item, vars));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, vars)]));
}

function look(name, vars) {
    return name.split('.').reduce((value, key) => value?.[key], vars);
}

module.exports = { load };
