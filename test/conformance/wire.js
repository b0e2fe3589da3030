// One TCP connection to a server under test: the answer to an HTTP request, then WebSocket frames.
//
// Written by hand on purpose: the bytes of a broken frame have to reach the server as they are, and
// nothing here may share a mistake with a library. Whatever arrives becomes an event and waits in
// order until somebody asks for it with next():
//
//     { response: { status, headers, body } }     the answer to a request
//     { text } { hex }                            a message, fragments joined
//     { ping } { pong }                           hex
//     { close: { code, reason } }                 a close frame; ours has gone back already
//     { broken: words }                           not HTTP, or not what a server may send
//     { end: words }                              the stream is over
'use strict';

const crypto = require('node:crypto');
const net = require('node:net');

const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
const NO_CODE = 1005;

class Wire {
    constructor({ host, port }) {
        this.events = [];
        this.input = Buffer.alloc(0);
        this.parse = this.parseResponse;
        this.message = null;            // { opcode, parts } while fragments come in
        this.closeSent = false;
        this.over = false;
        this.socket = net.connect(port, host);
        this.socket.setNoDelay(true);
        this.socket.on('data', (bytes) => this.take(bytes));
        this.socket.on('end', () => this.end('end of stream'));
        this.socket.on('error', (error) => this.end(error.message));
        this.socket.on('close', () => this.end('closed'));
    }

    // --- Events -----------------------------------------------------------------------------

    // The next event, or undefined when none comes within `ms`.
    async next(ms) {
        if (this.events.length === 0) {
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, ms);
                this.wake = () => { clearTimeout(timer); resolve(); };
            });
        }
        return this.events.shift();
    }

    emit(event) {
        this.events.push(event);
        if (event.broken) this.parse = () => false;
        this.wake?.();
    }

    take(bytes) {
        this.input = Buffer.concat([this.input, bytes]);
        while (this.parse()) continue;
    }

    end(words) {
        if (this.over) return;
        this.over = true;
        this.parse();
        this.emit({ end: words });
    }

    destroy() {
        this.socket.destroy();
    }

    // --- HTTP -------------------------------------------------------------------------------

    request(method, path, headers, body) {
        this.method = method;
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        this.write(Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'));
        if (body?.length) this.write(body);
    }

    // A body ends by its length or, without one, with the stream. True: there may be more to parse.
    parseResponse() {
        const headEnd = this.input.indexOf('\r\n\r\n');
        if (headEnd < 0) return false;
        const [statusLine, ...lines] = this.input.toString('latin1', 0, headEnd).split('\r\n');
        const [, status] = /^HTTP\/1\.1 (\d{3})( |$)/.exec(statusLine) ?? [];
        const headers = parseHeaders(lines);
        if (!status || !headers) return this.emit({ broken: `not HTTP: ${statusLine}` });
        if ('transfer-encoding' in headers) return this.emit({ broken: 'a chunked answer' });

        let length = Number(headers['content-length'] ?? Infinity);
        if (/^1|^204/.test(status) || this.method === 'HEAD') length = 0;
        const rest = this.input.subarray(headEnd + 4);
        if (rest.length < length && !(this.over && length === Infinity)) return false;
        const body = rest.toString('utf8', 0, Math.min(length, rest.length));
        this.input = rest.subarray(Math.min(length, rest.length));
        if (status === '101') this.parse = this.parseFrame;
        this.emit({ response: { status: Number(status), headers, body } });
        return true;
    }

    // --- WebSocket --------------------------------------------------------------------------

    // Takes one frame off the input. True: there may be another one.
    parseFrame() {
        const frame = cutFrame(this.input);
        if (!frame) return false;
        if (frame.broken) return this.emit(frame);
        this.input = this.input.subarray(frame.size);
        if (frame.opcode >= CLOSE) this.control(frame);
        else this.data(frame);
        return true;
    }

    control({ opcode, payload }) {
        if (opcode === PING) {
            this.send(PONG, payload);
            this.emit({ ping: payload.toString('hex') });
        } else if (opcode === PONG) {
            this.emit({ pong: payload.toString('hex') });
        } else {
            const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE;
            if (!this.closeSent) this.close(code);
            this.emit({ close: { code, reason: payload.toString('utf8', 2) } });
        }
    }

    data({ opcode, fin, payload }) {
        if ((opcode === CONTINUATION) !== (this.message !== null)) {
            this.emit({ broken: 'fragments out of order' });
            return;
        }
        this.message ??= { opcode, parts: [] };
        this.message.parts.push(payload);
        if (!fin) return;
        const bytes = Buffer.concat(this.message.parts);
        const isText = this.message.opcode === TEXT;
        this.message = null;
        if (!isText) this.emit({ hex: bytes.toString('hex') });
        else if (isUtf8(bytes)) this.emit({ text: bytes.toString('utf8') });
        else this.emit({ broken: `text that is not UTF-8: ${bytes.toString('hex')}` });
    }

    sendText(payload) { this.send(TEXT, payload); }
    sendBinary(payload) { this.send(BINARY, payload); }
    sendPing(payload) { this.send(PING, payload); }

    sendFragments(payloads) {
        payloads.forEach((payload, i) => {
            this.send(i === 0 ? TEXT : CONTINUATION, payload, i === payloads.length - 1);
        });
    }

    close(code = NO_CODE, reason = '') {
        this.closeSent = true;
        const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
        payload.writeUInt16BE(code);
        this.send(CLOSE, code === NO_CODE ? Buffer.alloc(0) : payload);
    }

    send(opcode, payload, fin = true) {
        const n = payload.length;
        const head = Buffer.alloc(n < 126 ? 2 : n < 65536 ? 4 : 10);
        head[0] = (fin ? 0x80 : 0) | opcode;
        head[1] = 0x80 | (n < 126 ? n : n < 65536 ? 126 : 127);
        if (head.length === 4) head.writeUInt16BE(n, 2);
        if (head.length === 10) head.writeBigUInt64BE(BigInt(n), 2);
        const mask = crypto.randomBytes(4);
        this.write(Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4])]));
    }

    write(bytes) {
        if (this.socket.writable) this.socket.write(bytes);
    }
}

// The first frame of `input`, undefined when it is not complete, or what is wrong with it.
function cutFrame(input) {
    if (input.length < 2) return undefined;
    const opcode = input[0] & 15, fin = (input[0] & 0x80) !== 0;
    let length = input[1] & 127, start = 2;
    if (input[0] & 0x70) return { broken: 'a frame with a reserved bit' };
    if (input[1] & 0x80) return { broken: 'a masked frame' };
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode))
        return { broken: `a frame with opcode ${opcode}` };
    if (opcode >= CLOSE && (!fin || length > 125)) return { broken: 'a control frame too large' };
    if (length === 126) start = 4;
    if (length === 127) start = 10;
    if (input.length < start) return undefined;
    if (length === 126) length = input.readUInt16BE(2);
    if (length === 127) length = Number(input.readBigUInt64BE(2));
    if (start === (length < 126 ? 4 : length < 65536 ? 10 : 0))
        return { broken: `a length of ${length} not in its shortest form` };
    if (input.length < start + length) return undefined;
    return { opcode, fin, payload: input.subarray(start, start + length), size: start + length };
}

// Names in lower case, repeated ones joined; undefined when a line is no header.
function parseHeaders(lines) {
    const headers = {};
    for (const line of lines) {
        const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
        if (!name) return undefined;
        const key = name.toLowerCase();
        headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
    }
    return headers;
}

function isUtf8(bytes) {
    return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}

module.exports = { Wire };
