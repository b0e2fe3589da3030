// json_oracle.js FILE: what JSON.parse says of each text in FILE (its length as four bytes, then the
// text): a line "0" if it refuses it, "1" if it takes it, with the text's characters in hexadecimal
// behind that if it is a string, and "?" where a number is too large for a double, which the two
// may judge differently. What Phoenix' Jason refuses beyond that is refused here too: bytes that
// are no UTF-8 and halves of surrogate pairs.
'use strict';
const fs = require('node:fs');

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const half = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function verdict(bytes) {
  let value, infinite = false;
  const look = (key, v) => {
    if (half.test(key) || (typeof v === 'string' && half.test(v))) throw new Error('half a pair');
    if (v === Infinity || v === -Infinity) infinite = true;
    return v;
  };
  try {
    value = JSON.parse(utf8.decode(bytes), look);
  } catch {
    return '0';
  }
  if (infinite) return '?';
  return typeof value === 'string' ? '1' + Buffer.from(value).toString('hex') : '1';
}

const all = fs.readFileSync(process.argv[2]);
const lines = [];
for (let at = 0; at < all.length;) {
  const n = all.readUInt32LE(at);
  lines.push(verdict(all.subarray(at + 4, at + 4 + n)));
  at += 4 + n;
}
process.stdout.write(lines.join('\n') + '\n');
