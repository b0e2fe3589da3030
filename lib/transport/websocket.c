/* websocket.c - see websocket.h.
 *
 * Ours to judge, with the code a connection is closed with: reserved bits and opcodes, a missing
 * mask, the order of fragments, the payload of a Close (1002); text that can no longer become UTF-8
 * (1007); too many empty fragments (1008); too large a message, by what is announced and before any
 * of it is stored (1009). A message that is compressed is put together first: what comes out of it
 * is judged as it comes out, its text by who gets it.
 *
 * A message that is one frame and has come whole, as nearly all are, is unmasked here, eight bytes
 * at a time: wslay copies it first and then goes by bytes, which was a quarter of what an echo cost.
 * Whatever else comes is wslay's: what is compressed, and all that is wrong. It is given the bytes
 * of one frame and no more, so that what follows can be looked at afresh. */
#include "transport/websocket.h"

#include <string.h>

#include <wslay/wslay.h>

#include "wire/utf8.h"

#define SPARE 4u     /* contexts kept for the next connection that needs one */
#define HEAD_MAX 14u /* the longest header of a frame */

/* One that arrives in pieces. */
typedef struct channels__ws_message {
    char *bytes;
    size_t len, size;
    uint32_t empties; /* empty fragments */
    channels__utf8 utf8;
    bool text, whole, deflated;
} channels__ws_message;

struct channels__ws_lens {
    channels__ws *ws;
    wslay_frame_context_ptr ctx;
    channels__ws_lens *next; /* of the spare ones */
    channels__ws_message *message; /* NULL: none is begun */
    uint64_t left;           /* what wslay was not yet given of the payload of the frame in flight */
    uint64_t got;            /* what it has shown of that */
    bool begun;              /* its header has been judged */
    uint8_t nhead;           /* what wslay was given of its header; 0: none is in flight */
    uint8_t head[HEAD_MAX];
    uint8_t ncontrol;
    uint8_t control[CHANNELS__WS_CONTROL]; /* payload of a control frame */
};

static channels__ws_message *message_of(const channels__ws_in *in)
{
    return in->lens != NULL ? in->lens->message : NULL;
}

/* --- Contexts ----------------------------------------------------------------------------- */

static uint8_t length_bytes(const uint8_t *head)
{
    return (head[1] & 0x7f) == 126 ? 2 : (head[1] & 0x7f) == 127 ? 8 : 0;
}

/* As far as it is known: what has not come counts as nothing. */
static uint64_t payload_length(const uint8_t *head, size_t n)
{
    size_t bytes = length_bytes(head);
    uint64_t length = 0;
    if (bytes == 0)
        return head[1] & 0x7f;
    for (size_t i = 0; i < bytes && n >= 2 + bytes; i++)
        length = length << 8 | head[2 + i];
    return length;
}

/* Of a masked frame. */
static size_t head_length(const uint8_t *head)
{
    return 2u + length_bytes(head) + 4u;
}

static size_t give(channels__ws *ws, uint8_t *dst, size_t n)
{
    if (n > ws->len)
        n = ws->len;
    memcpy(dst, ws->bytes, n);
    ws->bytes += n;
    ws->len -= n;
    return n;
}

static size_t give_head(channels__ws_lens *lens, uint8_t *dst, size_t n)
{
    n = give(lens->ws, dst, n);
    memcpy(lens->head + lens->nhead, dst, n);
    lens->nhead = (uint8_t)(lens->nhead + n);
    if (lens->nhead == head_length(lens->head))
        lens->left = payload_length(lens->head, lens->nhead);
    return n;
}

/* wslay's buffer has more room than any header is long. */
static ssize_t look(uint8_t *dst, size_t room, int flags, void *user)
{
    channels__ws_lens *lens = user;
    size_t want = lens->nhead < 2 ? 2 : head_length(lens->head);
    (void)flags;
    if (lens->nhead < want)
        want = give_head(lens, dst, want - lens->nhead);
    else
        lens->left -= want = give(lens->ws, dst, lens->left < room ? (size_t)lens->left : room);
    return want != 0 ? (ssize_t)want : -1;
}

static channels__ws_lens *lens_new(channels__ws *ws)
{
    static const struct wslay_frame_callbacks reading = { .recv_callback = look };
    channels__ws_lens *lens = channels__zalloc(ws->mem, sizeof *lens);
    if (lens != NULL && wslay_frame_context_init(&lens->ctx, &reading, lens) != 0) {
        channels__free(ws->mem, lens, sizeof *lens);
        return NULL;
    }
    if (lens != NULL)
        lens->ws = ws;
    return lens;
}

static void lens_free(channels__ws *ws, channels__ws_lens *lens)
{
    wslay_frame_context_free(lens->ctx);
    channels__free(ws->mem, lens, sizeof *lens);
}

static channels__ws_lens *borrow(channels__ws *ws)
{
    channels__ws_lens *lens = ws->spare;
    if (lens == NULL)
        return lens_new(ws);
    ws->spare = lens->next;
    ws->nspare--;
    return lens;
}

static void give_back(channels__ws *ws, channels__ws_lens *lens)
{
    if (lens->nhead != 0 || ws->nspare == SPARE) {
        lens_free(ws, lens);
        return;
    }
    lens->next = ws->spare;
    ws->spare = lens;
    ws->nspare++;
}

/* --- Frames to clients -------------------------------------------------------------------- */

/* Of a frame that is neither masked nor a piece of one; ends at `end`. Its length. */
static size_t put_header(uint8_t *end, uint8_t opcode, size_t len)
{
    size_t bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    uint8_t *head = end - 2 - bytes;
    head[0] = 0x80 | opcode;
    head[1] = (uint8_t)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (; bytes != 0; bytes--, len >>= 8)
        head[1 + bytes] = (uint8_t)len;
    return (size_t)(end - head);
}

void channels__ws_frame(channels_buf *payload, channels__ws_opcode opcode)
{
    uint8_t *bytes = (uint8_t *)channels__buf_bytes(payload);
    channels__buf_prepend(payload, put_header(bytes, (uint8_t)opcode, payload->len));
}

size_t channels__ws_close_frame(int code, uint8_t dst[CHANNELS__WS_CLOSE_SIZE])
{
    size_t len = code != 0 ? 2 : 0;
    put_header(dst + 2, WSLAY_CONNECTION_CLOSE, len);
    dst[2] = (uint8_t)(code >> 8);
    dst[3] = (uint8_t)code;
    return 2 + len;
}

void channels__ws_init(channels__ws *ws, const channels__mem *mem)
{
    memset(ws, 0, sizeof *ws);
    ws->mem = mem;
}

void channels__ws_deinit(channels__ws *ws)
{
    while (ws->spare != NULL)
        lens_free(ws, borrow(ws));
    channels__free(ws->mem, ws->plain, ws->plain_size);
}

/* --- Frames from clients ------------------------------------------------------------------ */

static channels__ws_got nothing(void)
{
    channels__ws_got got = { .event = CHANNELS__WS_NONE };
    return got;
}

static channels__ws_got fault(int code)
{
    channels__ws_got got = { .event = CHANNELS__WS_FAULT, .code = code };
    return got;
}

static channels__ws_got show(channels__ws_event event, const void *data, size_t len)
{
    channels__ws_got got = { .event = event, .data = data, .len = len };
    return got;
}

static bool known(uint8_t opcode)
{
    return opcode <= WSLAY_BINARY_FRAME ||
           (opcode >= WSLAY_CONNECTION_CLOSE && opcode <= WSLAY_PONG);
}

/* RSV1 says of the first frame of a message that the message is compressed. */
static bool rsv_valid(const struct wslay_frame_iocb *frame, const channels__ws_limits *limits)
{
    return frame->rsv == WSLAY_RSV_NONE ||
           (frame->rsv == WSLAY_RSV1_BIT && limits->deflate != NULL &&
            (frame->opcode == WSLAY_TEXT_FRAME || frame->opcode == WSLAY_BINARY_FRAME));
}

/* Of a frame by its header: 0, or the code to close with. */
static int judge(const channels__ws_in *in, const struct wslay_frame_iocb *frame,
                 const channels__ws_limits *limits)
{
    const channels__ws_message *m = message_of(in);
    bool continues = frame->opcode == WSLAY_CONTINUATION_FRAME;
    if (!rsv_valid(frame, limits) || !frame->mask || !known(frame->opcode))
        return WSLAY_CODE_PROTOCOL_ERROR;
    if (wslay_is_ctrl_frame(frame->opcode))
        return frame->fin ? 0 : WSLAY_CODE_PROTOCOL_ERROR;
    if (continues != (m != NULL))
        return WSLAY_CODE_PROTOCOL_ERROR;
    if (frame->payload_length > limits->max_message - (m != NULL ? m->len : 0))
        return WSLAY_CODE_MESSAGE_TOO_BIG;
    return 0;
}

static int count_empty(channels__ws_in *in, const struct wslay_frame_iocb *frame,
                       const channels__ws_limits *limits)
{
    if (frame->opcode == WSLAY_CONTINUATION_FRAME && frame->payload_length == 0 && !frame->fin &&
        ++in->lens->message->empties > limits->max_empty_fragments)
        return WSLAY_CODE_POLICY_VIOLATION;
    return 0;
}

/* wslay shows a frame with the first byte of its payload. One whose header is wrong already, and
 * who sends nothing more, would wait till it is idle: such a header is looked at by hand. */
static int judge_head(const channels__ws_in *in, const channels__ws_limits *limits)
{
    const channels__ws_lens *lens = in->lens;
    const uint8_t *head = lens->head;
    struct wslay_frame_iocb frame = { .fin = head[0] >> 7,
                                      .rsv = head[0] >> 4 & 7,
                                      .opcode = head[0] & 15,
                                      .mask = 1 };
    if (lens->nhead == 0 || lens->begun)
        return 0;
    if (lens->nhead >= 2) {
        frame.mask = head[1] >> 7;
        frame.payload_length = payload_length(head, lens->nhead);
    }
    return judge(in, &frame, limits);
}

static bool close_code_valid(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || code >= 3000;
}

static channels__ws_got read_close(const uint8_t *payload, size_t len)
{
    channels__ws_got got = { .event = CHANNELS__WS_CLOSE };
    if (len == 0)
        return got;
    if (len == 1)
        return fault(WSLAY_CODE_PROTOCOL_ERROR);
    got.code = payload[0] << 8 | payload[1];
    if (!close_code_valid(got.code))
        return fault(WSLAY_CODE_PROTOCOL_ERROR);
    if (!channels__utf8_valid(payload + 2, len - 2))
        return fault(WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
    return got;
}

static channels__ws_got read_control(channels__ws_lens *lens, const struct wslay_frame_iocb *frame,
                                     bool last)
{
    memcpy(lens->control + lens->ncontrol, frame->data, frame->data_length);
    lens->ncontrol = (uint8_t)(lens->ncontrol + frame->data_length);
    if (!last)
        return nothing();
    size_t len = lens->ncontrol;
    lens->ncontrol = 0;
    if (frame->opcode == WSLAY_CONNECTION_CLOSE)
        return read_close(lens->control, len);
    if (frame->opcode == WSLAY_PING)
        return show(CHANNELS__WS_PING, lens->control, len);
    return nothing(); /* a pong: nobody asked */
}

/* Grows by doubling, so that bytes which are only announced cost nothing, but never beyond
 * `bound`. */
static bool append(channels__ws *ws, channels__ws_message *m, const void *data, size_t n,
                   size_t bound)
{
    size_t need = m->len + n;
    if (need > m->size) {
        size_t size = m->size * 2 < need ? need : m->size * 2;
        if (size > bound)
            size = bound;
        char *bytes = channels__resize(ws->mem, m->bytes, m->size, size);
        if (bytes == NULL)
            return false;
        m->bytes = bytes;
        m->size = size;
    }
    if (n != 0)
        memcpy(m->bytes + m->len, data, n);
    m->len = need;
    return true;
}

/* All of a message that is compressed has come. */
static channels__ws_got decompress(channels__ws *ws, channels__ws_message *m,
                                   const channels__ws_limits *limits)
{
    channels__inflated plain;
    int err = channels__deflate_unpack(limits->deflate, channels__str_n(m->bytes, m->len),
                                       limits->max_message, &plain);
    channels__free(ws->mem, m->bytes, m->size);
    m->bytes = plain.bytes;
    m->len = plain.len;
    m->size = plain.size;
    m->whole = true;
    if (err == CHANNELS_ERR_NOMEM)
        return show(CHANNELS__WS_NOMEM, NULL, 0);
    if (err != CHANNELS_OK)
        return fault(err == CHANNELS_ERR_LIMIT ? WSLAY_CODE_MESSAGE_TOO_BIG
                                               : WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
    return show(m->text ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, m->bytes, m->len);
}

static channels__ws_got read_data(channels__ws *ws, channels__ws_in *in,
                                  const struct wslay_frame_iocb *frame, uint64_t to_come,
                                  const channels__ws_limits *limits)
{
    channels__ws_message *m = message_of(in);
    bool last = frame->fin && to_come == 0, text = frame->opcode == WSLAY_TEXT_FRAME;
    if (m == NULL && last && frame->rsv == 0) /* all in one piece: shown where wslay unmasked it */
        return show(text ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, frame->data,
                    frame->data_length);
    if (m == NULL && (m = in->lens->message = channels__zalloc(ws->mem, sizeof *m)) != NULL) {
        m->text = text;
        m->deflated = frame->rsv != 0;
    }
    size_t bound = limits->max_message;
    if (m != NULL && frame->fin)
        bound = m->len + frame->data_length + (size_t)to_come;
    if (m == NULL || !append(ws, m, frame->data, frame->data_length, bound))
        return show(CHANNELS__WS_NOMEM, NULL, 0);
    if (m->deflated)
        return last ? decompress(ws, m, limits) : nothing();
    if (m->text &&
        (!channels__utf8_feed(&m->utf8, frame->data, frame->data_length) || (last && m->utf8 != 0)))
        return fault(WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
    if (!last)
        return nothing();
    m->whole = true;
    return show(m->text ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, m->bytes, m->len);
}

static channels__ws_got read_piece(channels__ws *ws, channels__ws_in *in,
                                   const struct wslay_frame_iocb *frame,
                                   const channels__ws_limits *limits)
{
    channels__ws_lens *lens = in->lens;
    int code = lens->begun ? 0 : judge(in, frame, limits);
    if (code == 0)
        code = count_empty(in, frame, limits);
    if (code != 0)
        return fault(code);
    lens->got += frame->data_length;
    uint64_t to_come = frame->payload_length - lens->got;
    lens->begun = to_come != 0;
    if (to_come == 0) {
        lens->got = 0;
        lens->nhead = 0;
    }
    if (wslay_is_ctrl_frame(frame->opcode))
        return read_control(lens, frame, to_come == 0);
    return read_data(ws, in, frame, to_come, limits);
}

/* --- A message that has come whole -------------------------------------------------------- */

static void unmask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t key[4])
{
    uint64_t keys, word;
    memcpy(&keys, key, 4);
    memcpy((uint8_t *)&keys + 4, key, 4);
    for (; n >= 8; n -= 8, src += 8, dst += 8) {
        memcpy(&word, src, 8);
        word ^= keys;
        memcpy(dst, &word, 8);
    }
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i] ^ key[i & 3];
}

static bool reserve_plain(channels__ws *ws, size_t n)
{
    size_t size = ws->plain_size != 0 ? ws->plain_size : 1024;
    if (n <= ws->plain_size)
        return true;
    while (size < n)
        size *= 2;
    channels__free(ws->mem, ws->plain, ws->plain_size);
    ws->plain = channels__alloc(ws->mem, size);
    ws->plain_size = ws->plain != NULL ? size : 0;
    return ws->plain != NULL;
}

/* False if there is none, or nothing that is plainly right. Lengths of eight bytes are left to
 * wslay, so that the memory is bounded. */
static bool take_whole(channels__ws *ws, const channels__ws_limits *limits, channels__ws_got *got)
{
    const uint8_t *head = ws->bytes;
    if (ws->len < 6 || (head[0] != 0x81 && head[0] != 0x82) || head[1] < 0x80 || head[1] == 0xff)
        return false;
    size_t at = head_length(head), n = (size_t)payload_length(head, ws->len);
    if (n > limits->max_message || (head[1] == 0xfe && n < 126) || ws->len < at + n)
        return false;
    *got = show(CHANNELS__WS_NOMEM, NULL, 0);
    if (!reserve_plain(ws, n))
        return true;
    unmask(ws->plain, head + at, n, head + at - 4);
    ws->bytes += at + n;
    ws->len -= at + n;
    *got = show(head[0] == 0x81 ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, ws->plain, n);
    return true;
}

/* --- What comes next ---------------------------------------------------------------------- */

void channels__ws_give(channels__ws *ws, const void *data, size_t len)
{
    ws->bytes = data;
    ws->len = len;
}

static void message_end(channels__ws *ws, channels__ws_in *in)
{
    channels__ws_message *m = message_of(in);
    if (m == NULL)
        return;
    channels__free(ws->mem, m->bytes, m->size);
    channels__free(ws->mem, m, sizeof *m);
    in->lens->message = NULL;
}

static void lens_end(channels__ws *ws, channels__ws_in *in)
{
    if (in->lens != NULL)
        give_back(ws, in->lens);
    in->lens = NULL;
}

/* By wslay. */
static channels__ws_got next_piece(channels__ws *ws, channels__ws_in *in,
                                   const channels__ws_limits *limits)
{
    struct wslay_frame_iocb frame;
    if (in->lens == NULL)
        in->lens = borrow(ws);
    if (in->lens == NULL)
        return show(CHANNELS__WS_NOMEM, NULL, 0);
    ssize_t n = wslay_frame_recv(in->lens->ctx, &frame);
    if (n >= 0)
        return read_piece(ws, in, &frame, limits);
    int code = n == WSLAY_ERR_WANT_READ ? judge_head(in, limits) : WSLAY_CODE_PROTOCOL_ERROR;
    return code != 0 ? fault(code) : nothing();
}

channels__ws_got channels__ws_next(channels__ws *ws, channels__ws_in *in,
                                   const channels__ws_limits *limits)
{
    channels__ws_got got = nothing();
    if (message_of(in) != NULL && in->lens->message->whole)
        message_end(ws, in);
    do {
        if (in->lens != NULL && in->lens->nhead == 0 && in->lens->message == NULL)
            lens_end(ws, in);
        if (ws->len == 0)
            break;
        if (in->lens != NULL || !take_whole(ws, limits, &got))
            got = next_piece(ws, in, limits);
    } while (got.event == CHANNELS__WS_NONE);
    return got;
}

size_t channels__ws_unread(const channels__ws *ws)
{
    return ws->len;
}

void channels__ws_in_end(channels__ws *ws, channels__ws_in *in)
{
    message_end(ws, in);
    lens_end(ws, in);
}
