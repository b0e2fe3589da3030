// chat.js - the page of the chat. What goes over the wire is told at the head of chat.c.
//
// Every room is a channel of phoenix.js on one socket. It keeps the lines shown, the id up to which
// nothing is missing (`seen`, sent along when it joins again), an outbox of what the server has not
// confirmed, and phoenix.js' Presence of who is there. phoenix.js would hold back pushes too, but
// gives them up after ten seconds.

import { Presence, Socket } from "./phoenix.js";

const ROOMS = ["lobby", "coffee", "c-corner", "private"]; // any other: #its-name in the address
const RETRY_MS = [100, 500, 1000, 2000, 5000];
const TYPING_EVERY_MS = 2000;
const TYPING_LASTS_MS = 4000;
const GROUP_MS = 5 * 60 * 1000; // lines of one person within this time share a heading

const $ = (id) => document.getElementById(id);
const log = $("log"), text = $("text"), welcome = $("welcome");
const rooms = new Map();
let open = null; // the room that is shown
let me = recall(localStorage, "name");
let entered = false; // the rooms have been joined
let atEnd = true; // of the log: it follows what is said
let lastTop = 0; // where it was scrolled to

// --- Small things ---------------------------------------------------------------------------

// A page may be denied storage; it then forgets.
function recall(storage, key) {
    try { return JSON.parse(storage.getItem(key)); } catch { return null; }
}

function remember(storage, key, value) {
    try { storage.setItem(key, JSON.stringify(value)); } catch { /* see above */ }
}

// crypto.randomUUID() is not there for pages of http://192.168.…
function makeUuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function element(tag, className = "", content = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = content;
    return made;
}

function button(content, action) {
    const made = element("button", "", content);
    made.type = "button";
    made.addEventListener("click", action);
    return made;
}

function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#icon-${name}`);
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    return svg;
}

function paintAvatar(avatar, name) {
    let hash = 0;
    for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 9973;
    avatar.style.setProperty("--hue", hash % 360);
    avatar.textContent = Array.from(name)[0]?.toUpperCase() ?? "";
}

// Says nothing twice to those who listen to the page.
function setText(node, content) {
    if (node.textContent !== content) node.textContent = content;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const both = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

function dayOf(at) {
    const day = calendar.format(at);
    return day === calendar.format(Date.now()) ? "Today" : day;
}

// --- The connection -------------------------------------------------------------------------

let nextTry = 0;
let token = null; // signed by the server: that we are who we say

async function askToken(name) {
    const answer = await fetch(`/session?name=${encodeURIComponent(name)}`, { method: "POST" });
    const body = await answer.text();
    if (!answer.ok) throw new Error(body);
    return body;
}

// One that was refused may be too old, or of a server that has forgotten its secret.
async function renewToken() {
    try { token = await askToken(me); } catch { /* the next try to connect leads here again */ }
}

const socket = new Socket("/socket", {
    params: () => ({ token }),
    heartbeatIntervalMs: 10000, // a dead connection is noticed within twice that
    longPollFallbackMs: 2500, // where no WebSocket gets through; remembered for the session
    reconnectAfterMs: (tries) => {
        const ms = RETRY_MS[tries - 1] ?? 10000;
        nextTry = Date.now() + ms;
        return ms;
    },
});

function connectAnew() {
    socket.disconnect(() => socket.connect());
}

function paintConnection() {
    const seconds = Math.ceil((nextTry - Date.now()) / 1000);
    const connected = socket.isConnected();
    const waits = !connected && nextTry > 0;
    const [state, words] = connected ? ["connected", "Connected"]
                         : waits ? ["lost", "Reconnecting"] : ["connecting", "Connecting…"];
    $("connection").dataset.state = state;
    setText($("connection-state"), words);
    setText($("connection-wait"), !waits ? "" : seconds > 0 ? `in ${seconds} s` : "…");
    $("connection-retry").hidden = !waits || seconds <= 1;
}

socket.onError(renewToken);
socket.onOpen(paintConnection);
socket.onClose(paintConnection);
setInterval(paintConnection, 500);
addEventListener("online", () => { if (entered && !socket.isConnected()) connectAnew(); });
$("connection-retry").addEventListener("click", connectAnew);

// --- A room ---------------------------------------------------------------------------------

class Room {
    constructor(name) {
        this.name = name;
        this.seen = null;
        this.node = ""; // whose ids they are, where the chat has several servers
        this.joined = false;
        this.caughtUp = false;
        this.refused = null; // the reason
        this.unread = 0;
        this.draft = "";
        this.lines = new Map(); // by uuid: the lines of messages
        this.outbox = new Map(recall(sessionStorage, `outbox:${name}`)); // uuid: text
        this.sent = new Set(); // of the outbox, in this joining
        this.typists = new Map(); // name: the timer that ends it
        this.knowsPeople = false; // since it joined: from then on coming and going is news
        this.list = element("ol");
        this.link = element("a");
        this.link.href = `#${encodeURIComponent(name)}`;
        for (const [uuid, body] of this.outbox) this.showPending(uuid, body);
    }

    join() {
        const params = () => {
            this.knowsPeople = false;
            this.saidLooking = this.isLookedAt();
            return { last_seen_id: this.seen, node: this.node, looking: this.saidLooking };
        };
        this.channel = socket.channel(`room:${this.name}`, params);
        this.channel.on("new_msg", (message) => this.hear(message));
        this.channel.on("typing", ({ name }) => this.showTyping(name));
        this.channel.onError(() => this.setJoined(false));
        this.watchPeople();
        this.channel.join()
            .receive("ok", (page) => {
                this.refused = null;
                this.caughtUp = false;
                this.heard = null; // the last id since this joining
                if (page.node !== this.node) this.seen = null;
                this.node = page.node;
                this.catchUp(page);
                this.sent.clear();
                this.setJoined(true);
                this.flush();
                this.sayLooking();
            })
            .receive("error", ({ reason }) => {
                if (reason === "join crashed") return; // phoenix.js tries again
                this.channel.leave();
                this.refused = reason;
                paint();
            });
    }

    rejoin() {
        this.channel.leave();
        this.join();
    }

    setJoined(joined) {
        this.joined = joined;
        this.list.querySelectorAll(".pending").forEach((line) => this.paintPending(line));
        paint();
        if (this === open) paintPeople();
    }

    // --- Who is there: under "@" and their names, a meta for each of their pages

    // Who is in the first state of this joining was there before.
    watchPeople() {
        this.presence = new Presence(this.channel);
        this.presence.onJoin((key, before) => {
            if (this.knowsPeople && !before) this.notice(key.slice(1), "came in");
        });
        this.presence.onLeave((key, { metas }) => {
            if (metas.length > 0) return; // other pages of theirs are still there
            this.stopTyping(key.slice(1));
            if (this.knowsPeople) this.notice(key.slice(1), "left");
        });
        this.presence.onSync(() => {
            this.knowsPeople = true;
            if (this === open) paintPeople();
        });
    }

    people() {
        const people = this.presence?.list((key, { metas }) => ({
            name: key.slice(1),
            pages: metas.length,
            nodes: [...new Set(metas.flatMap(({ node }) => node ?? []))].sort(),
            looking: metas.some(({ looking }) => looking),
        })) ?? [];
        const first = ({ name }) => (name === me ? 0 : 1);
        return people.sort((a, b) => first(a) - first(b) || a.name.localeCompare(b.name));
    }

    isLookedAt() {
        return this === open && !document.hidden;
    }

    sayLooking() {
        const looking = this.isLookedAt();
        if (!this.joined || looking === this.saidLooking) return;
        this.saidLooking = looking;
        this.channel.push("look", { looking });
    }

    // Pages follow each other until there are no more. What is said meanwhile is shown at once, but
    // does not count as seen: there is a gap before it.
    catchUp({ messages, more }) {
        const first = this.seen === null;
        for (const message of messages) {
            this.show(message, !first);
            this.seen = message.id;
        }
        if (more) {
            this.channel.push("history", { after: this.seen })
                .receive("ok", (page) => this.catchUp(page))
                .receive("error", () => this.rejoin())
                .receive("timeout", () => this.rejoin());
        } else {
            this.caughtUp = true;
            this.seen = this.heard ?? this.seen ?? 0;
        }
    }

    hear(message) {
        this.stopTyping(message.name);
        if (!this.show(message, true)) return;
        this.heard = message.id;
        if (this.caughtUp) this.seen = message.id;
    }

    // --- What is sent

    send(body) {
        const uuid = makeUuid();
        this.outbox.set(uuid, body);
        this.saveOutbox();
        this.showPending(uuid, body);
        this.flush();
        this.saidTyping = 0;
    }

    flush() {
        if (!this.joined) return;
        for (const [uuid, body] of this.outbox) {
            if (this.sent.has(uuid)) continue;
            this.sent.add(uuid);
            this.channel.push("new_msg", { uuid, text: body })
                .receive("ok", (message) => this.show(message, true))
                .receive("error", ({ reason }) => this.showFailed(uuid, reason))
                .receive("timeout", () => this.sendAgain(uuid));
        }
    }

    sendAgain(uuid) {
        this.sent.delete(uuid);
        this.paintPending(this.lines.get(uuid));
        this.flush();
    }

    discard(uuid) {
        this.lines.get(uuid).remove();
        this.lines.delete(uuid);
        this.outbox.delete(uuid);
        this.saveOutbox();
    }

    saveOutbox() {
        remember(sessionStorage, `outbox:${this.name}`, [...this.outbox]);
    }

    sayTyping() {
        if (!this.joined || Date.now() - (this.saidTyping ?? 0) < TYPING_EVERY_MS) return;
        this.saidTyping = Date.now();
        this.channel.push("typing", {});
    }

    // --- What is shown

    // A message of the server's, unless it is known: reply, broadcast and history can all bring it.
    // It may have waited here as a pending line.
    show(message, isNew) {
        const known = this.lines.get(message.uuid);
        if (known?.message.id) return false;
        const line = known ?? this.makeLine(message.uuid);
        const own = message.name === me;
        fillLine(line, message);
        line.className = own ? "message own" : "message";
        line.classList.toggle("fresh", isNew && !known);
        if (this.outbox.delete(message.uuid)) this.saveOutbox();
        this.place(line);
        if (isNew && !own) this.unread++;
        paint();
        return true;
    }

    showPending(uuid, body) {
        const line = this.makeLine(uuid);
        fillLine(line, { uuid, name: me ?? "", text: body, at: Infinity });
        line.className = "message own pending fresh";
        this.place(line);
        this.paintPending(line);
    }

    paintPending(line) {
        line.querySelector(".state").textContent =
            this.joined ? "sending…" : "waiting for the connection";
    }

    showFailed(uuid, reason) {
        const line = this.lines.get(uuid);
        const again = button("Try again", () => {
            line.classList.replace("failed", "pending");
            this.sendAgain(uuid);
        });
        const discard = button("Discard", () => this.discard(uuid));
        line.classList.replace("pending", "failed");
        line.querySelector(".state").replaceChildren(`Not sent: ${reason}. `, again, " ", discard);
    }

    makeLine(uuid) {
        const line = element("li");
        const avatar = element("span", "avatar");
        const who = element("div", "who");
        const body = element("div", "body");
        const said = element("span", "text");
        avatar.setAttribute("aria-hidden", "true");
        said.dir = "auto";
        who.append(element("b"), element("time"));
        body.append(said, element("span", "state"));
        line.append(avatar, who, body);
        this.lines.set(uuid, line);
        return line;
    }

    // Where the server's time puts it; what the server has not confirmed comes last.
    place(line) {
        let next = null;
        for (let last = this.list.lastElementChild; last; last = last.previousElementSibling) {
            if (last === line) continue;
            if (!isAfter(last, line)) break;
            next = last;
        }
        if (!line.parentNode || line.nextElementSibling !== next) // else it keeps its focus
            this.list.insertBefore(line, next);
        groupLine(line);
        if (next) groupLine(next);
    }

    // Coming and going of one person in a row is one line.
    notice(name, what) {
        if (name === me) return;
        const last = [...this.list.children].findLast((line) => line.message.at !== Infinity);
        const line = element("li", "notice", `${name} ${what}`);
        line.message = { notice: name, at: last?.message.at ?? 0, id: Infinity };
        if (last?.message.notice === name) last.remove();
        this.place(line);
    }

    showTyping(name) {
        clearTimeout(this.typists.get(name));
        this.typists.set(name, setTimeout(() => this.stopTyping(name), TYPING_LASTS_MS));
        paint();
    }

    stopTyping(name) {
        clearTimeout(this.typists.get(name));
        this.typists.delete(name);
        paint();
    }
}

// --- Lines ----------------------------------------------------------------------------------

function fillLine(line, message) {
    const time = line.querySelector("time");
    line.message = message;
    paintAvatar(line.querySelector(".avatar"), message.name);
    line.querySelector("b").textContent = message.name;
    line.querySelector(".text").textContent = message.text;
    line.querySelector(".state").textContent = "";
    if (message.at === Infinity) return;
    time.dateTime = new Date(message.at).toISOString();
    time.textContent = clock.format(message.at);
    line.title = both.format(message.at);
}

function isAfter({ message: a }, { message: b }) {
    return a.at > b.at || (a.at === b.at && a.id > b.id);
}

// Gives the line a heading, unless it goes on with what the same person just said, and the day,
// unless the line before is of the same.
function groupLine(line) {
    let before = line.previousElementSibling;
    if (line.message.notice) return;
    const at = Math.min(line.message.at, Date.now());
    const follows = before?.message.name === line.message.name && at - before.message.at < GROUP_MS;
    while (before?.message.notice) before = before.previousElementSibling;
    const day = dayOf(at);
    const newDay = !before || dayOf(Math.min(before.message.at, Date.now())) !== day;
    line.classList.toggle("follows", follows && !newDay);
    if (newDay) line.dataset.day = day;
    else delete line.dataset.day;
}

// --- The page around the open room ----------------------------------------------------------

// Everything but lines and the connection, from the state of the rooms.
function paint() {
    if (atEnd && !document.hidden && open) open.unread = 0;
    let unread = 0;
    for (const room of rooms.values()) {
        unread += room.unread;
        paintLink(room);
    }
    document.title = unread > 0 ? `(${unread}) Chat` : "Chat";
    if (!open) return;
    log.setAttribute("aria-busy", String(!open.caughtUp)); // history is not read out
    log.hidden = $("composer").hidden = open.refused !== null;
    $("refused").hidden = open.refused === null;
    setText($("refused-reason"), open.refused ?? "");
    setText($("title"), `#${open.name}`);
    setText($("typing"), typingText([...open.typists.keys()]));
    $("jump").hidden = open.unread === 0 || open.refused !== null;
    setText($("jump"), `${open.unread} new ${open.unread === 1 ? "message" : "messages"} ↓`);
    text.placeholder = `Write to #${open.name}`;
}

function paintLink(room) {
    const sign = icon(room.refused === null ? "room" : "lock");
    room.link.replaceChildren(sign, element("span", "name", room.name));
    room.link.classList.toggle("unread", room.unread > 0);
    if (room === open) room.link.setAttribute("aria-current", "page");
    else room.link.removeAttribute("aria-current");
    if (room.unread === 0) return;
    const count = element("span", "count", room.unread);
    count.append(element("span", "unseen", " unread"));
    room.link.append(count);
}

function typingText(names) {
    if (names.length === 0) return "";
    if (names.length === 1) return `${names[0]} is typing…`;
    if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
    return "Several people are typing…";
}

// The people of the open room.
function paintPeople() {
    const people = open.people();
    $("people-list").replaceChildren(...people.map(personLine));
    $("people").classList.toggle("stale", !open.joined);
    setText($("people-count"), String(people.length));
    setText($("people-title"), people.length === 1 ? "1 person here" : `${people.length} people here`);
}

function personLine({ name, pages, nodes, looking }) {
    const line = element("li", looking ? "looking" : "away");
    const avatar = element("span", "avatar");
    const more = [looking ? "" : "away", pages > 1 ? `${pages} tabs` : ""].filter(Boolean);
    paintAvatar(avatar, name);
    avatar.setAttribute("aria-hidden", "true");
    const who = element("span", "name", name);
    if (name === me) who.append(element("span", "quiet", " (you)"));
    line.append(avatar, who, element("span", "quiet", more.join(" · ")));
    for (const node of nodes) {
        const chip = element("span", "node", node);
        chip.title = `on node ${node}`;
        line.append(chip);
    }
    return line;
}

function showPeople(shown) {
    $("people").hidden = !shown;
    $("people-button").setAttribute("aria-expanded", String(shown));
}

function paintMe() {
    $("me-name").textContent = me ?? "";
    paintAvatar($("me").querySelector(".avatar"), me ?? "");
}

function toEnd() {
    log.scrollTop = log.scrollHeight;
    lastTop = log.scrollTop;
    atEnd = true;
    paint();
}

function addRoom(name) {
    const room = new Room(name);
    const item = element("li");
    item.append(room.link);
    $("rooms").append(item);
    rooms.set(name, room);
    follow.observe(room.list);
    if (entered) room.join();
    return room;
}

function openRoom(name) {
    const before = open;
    if (open) open.draft = text.value;
    open = rooms.get(name) ?? addRoom(name);
    before?.sayLooking();
    open.sayLooking();
    paintPeople();
    log.replaceChildren(open.list);
    text.value = open.draft;
    open.link.scrollIntoView({ block: "nearest", inline: "nearest" });
    toEnd();
}

function openFromAddress() {
    let name = ROOMS[0];
    try { name = decodeURIComponent(location.hash.slice(1)) || name; } catch { /* not a name */ }
    openRoom(name);
}

function askName() {
    $("name").value = me ?? "";
    welcome.querySelector("button").textContent = me ? "Save" : "Start chatting";
    welcome.showModal();
}

async function takeName(event) {
    const name = $("name").value.trim();
    event.preventDefault();
    if (name === "") return;
    if (name === me) {
        welcome.close();
        return;
    }
    try {
        token = await askToken(name);
    } catch (error) {
        $("name").setCustomValidity(error.message);
        $("name").reportValidity();
        return;
    }
    me = name;
    remember(localStorage, "name", me);
    welcome.close();
    paintMe();
    if (entered) enterAnew();
    else enter();
}

function enter() {
    entered = true;
    rooms.forEach((room) => room.join());
    socket.connect();
    text.focus();
}

// Joins every room under the new name, which may be welcome where the old one was not.
function enterAnew() {
    for (const room of rooms.values()) if (room.refused !== null) room.join();
    connectAnew();
}

function submit(event) {
    const body = text.value.trim();
    event.preventDefault();
    if (body === "") return;
    text.value = "";
    open.send(body);
    toEnd();
}

const follow = new ResizeObserver(() => { if (atEnd) toEnd(); });
follow.observe(log);
log.addEventListener("scroll", () => {
    const wasAtEnd = atEnd;
    const movedUp = log.scrollTop < lastTop; // only a reader does; new lines just make it longer
    lastTop = log.scrollTop;
    if (log.scrollHeight - log.scrollTop - log.clientHeight < 40) atEnd = true;
    else if (movedUp) atEnd = false;
    if (atEnd !== wasAtEnd) paint();
});
document.addEventListener("visibilitychange", () => {
    open.sayLooking();
    paint();
});
addEventListener("hashchange", openFromAddress);
$("jump").addEventListener("click", toEnd);
$("me").addEventListener("click", askName);
$("people-button").addEventListener("click", () => showPeople($("people").hidden));
$("refused-retry").addEventListener("click", () => open.join());
$("composer").addEventListener("submit", submit);
text.addEventListener("input", () => { if (text.value.trim() !== "") open.sayTyping(); });
text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("composer").requestSubmit();
});
welcome.querySelector("form").addEventListener("submit", takeName);
$("name").addEventListener("input", () => $("name").setCustomValidity(""));
welcome.addEventListener("close", () => { if (!me) askName(); });

ROOMS.forEach(addRoom);
openFromAddress();
paintMe();
showPeople(matchMedia("(min-width: 62rem)").matches);
if (me) renewToken().then(enter);
else askName();
