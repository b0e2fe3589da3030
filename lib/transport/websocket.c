/* websocket.c - see websocket.h.
 *
 * Ours to judge, with the code a connection is closed with: reserved bits and opcodes, a missing
 * mask, the order of fragments, the payload of a Close (1002); text that can no longer become UTF-8
 * (1007); too many empty fragments (1008); too large a message, by what is announced and before any
 * of it is stored (1009).
 *
 * wslay reads ahead: a context can go back to the others when all bytes it was given belonged to
 * complete frames. That is counted in `pending`: a frame's length follows from its payload's,
 * because lengths not in their shortest form are refused. */
#include "transport/websocket.h"

#include <string.h>

#include <wslay/wslay.h>

#include "wire/utf8.h"

#define SPARE 4u     /* contexts kept for the next connection that needs one */
#define HEAD_MAX 14u /* the longest header of a frame */

struct channels__ws_lens {
    wslay_frame_context_ptr ctx;
    channels__ws_lens *next; /* of the spare ones */
    const uint8_t *given;    /* the bytes in hand */
    const uint8_t *bytes;    /* of them, what was not yet given to wslay */
    size_t len;
    uint64_t pending; /* given to wslay, and not of a complete frame */
    uint64_t got;     /* of the payload of the frame in flight */
    bool begun;       /* its header has been judged */
    uint8_t head[HEAD_MAX]; /* what has come of a header that wslay does not show yet */
    uint8_t ncontrol;
    uint8_t control[CHANNELS__WS_CONTROL]; /* payload of a control frame */
};

struct channels__ws_message {
    char *bytes;
    size_t len, size;
    uint32_t empties; /* empty fragments */
    channels__utf8 utf8;
    bool text, whole;
};

/* --- Contexts ----------------------------------------------------------------------------- */

static ssize_t look(uint8_t *dst, size_t room, int flags, void *user)
{
    channels__ws_lens *lens = user;
    size_t n = lens->len < room ? lens->len : room;
    (void)flags;
    if (n == 0)
        return -1;
    memcpy(dst, lens->bytes, n);
    lens->bytes += n;
    lens->len -= n;
    lens->pending += n;
    return (ssize_t)n;
}

static channels__ws_lens *lens_new(channels__ws *ws)
{
    static const struct wslay_frame_callbacks reading = { .recv_callback = look };
    channels__ws_lens *lens = channels__zalloc(ws->mem, sizeof *lens);
    if (lens != NULL && wslay_frame_context_init(&lens->ctx, &reading, lens) != 0) {
        channels__free(ws->mem, lens, sizeof *lens);
        lens = NULL;
    }
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
    if (lens->pending != 0 || ws->nspare == SPARE) {
        lens_free(ws, lens);
        return;
    }
    lens->next = ws->spare;
    ws->spare = lens;
    ws->nspare++;
}

/* --- Frames to clients -------------------------------------------------------------------- */

/* wslay_frame_send() hands over the header, then the payload, which is in its place already. */
static ssize_t keep_header(const uint8_t *data, size_t len, int flags, void *user)
{
    channels__ws *ws = user;
    (void)flags;
    if (ws->header_len == 0) {
        memcpy(ws->header, data, len);
        ws->header_len = len;
    }
    return (ssize_t)len;
}

bool channels__ws_init(channels__ws *ws, const channels__mem *mem)
{
    static const struct wslay_frame_callbacks writing = { .send_callback = keep_header };
    memset(ws, 0, sizeof *ws);
    ws->mem = mem;
    return wslay_frame_context_init(&ws->sender, &writing, ws) == 0;
}

void channels__ws_deinit(channels__ws *ws)
{
    while (ws->spare != NULL)
        lens_free(ws, borrow(ws));
    wslay_frame_context_free(ws->sender);
}

static void make_header(channels__ws *ws, uint8_t opcode, const void *payload, size_t len)
{
    struct wslay_frame_iocb frame = {
        .fin = 1, .opcode = opcode, .payload_length = len, .data = payload, .data_length = len
    };
    ws->header_len = 0;
    wslay_frame_send(ws->sender, &frame);
}

void channels__ws_frame(channels__ws *ws, channels_buf *payload, channels__ws_opcode opcode)
{
    make_header(ws, (uint8_t)opcode, channels__buf_bytes(payload), payload->len);
    channels__buf_prepend(payload, ws->header, ws->header_len);
}

size_t channels__ws_close_frame(channels__ws *ws, int code, uint8_t dst[CHANNELS__WS_CLOSE_SIZE])
{
    const uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    size_t len = code != 0 ? sizeof payload : 0;
    make_header(ws, WSLAY_CONNECTION_CLOSE, payload, len);
    memcpy(dst, ws->header, ws->header_len);
    memcpy(dst + ws->header_len, payload, len);
    return ws->header_len + len;
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

/* Of a frame by its header: 0, or the code to close with. */
static int judge(const channels__ws_in *in, const struct wslay_frame_iocb *frame,
                 const channels__ws_limits *limits)
{
    const channels__ws_message *m = in->message;
    bool continues = frame->opcode == WSLAY_CONTINUATION_FRAME;
    if (frame->rsv != WSLAY_RSV_NONE || !frame->mask || !known(frame->opcode))
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
        ++in->message->empties > limits->max_empty_fragments)
        return WSLAY_CODE_POLICY_VIOLATION;
    return 0;
}

/* The length of a payload, as far as it is known: what has not come counts as nothing. */
static uint64_t announced(const uint8_t *head, size_t n)
{
    size_t bytes = (head[1] & 0x7f) == 126 ? 2 : (head[1] & 0x7f) == 127 ? 8 : 0;
    uint64_t length = 0;
    if (bytes == 0)
        return head[1] & 0x7f;
    for (size_t i = 0; i < bytes && n >= 2 + bytes; i++)
        length = length << 8 | head[2 + i];
    return length;
}

/* wslay shows a frame with the first byte of its payload. One whose header is wrong already, and who
 * sends nothing more, would wait till it is idle: such a header is looked at by hand. */
static int judge_head(channels__ws_in *in, const channels__ws_limits *limits)
{
    channels__ws_lens *lens = in->lens;
    const uint8_t *head = lens->head;
    size_t n = (size_t)lens->pending, given = (size_t)(lens->bytes - lens->given);
    size_t fresh = given < n ? given : n;
    if (n == 0 || n > HEAD_MAX)
        return 0;
    memcpy(lens->head + n - fresh, lens->bytes - fresh, fresh);
    struct wslay_frame_iocb frame = { .fin = head[0] >> 7,
                                      .rsv = head[0] >> 4 & 7,
                                      .opcode = head[0] & 15,
                                      .mask = 1 };
    if (n >= 2) {
        frame.mask = head[1] >> 7;
        frame.payload_length = announced(head, n);
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

static channels__ws_got read_data(channels__ws *ws, channels__ws_in *in,
                                  const struct wslay_frame_iocb *frame, uint64_t to_come,
                                  const channels__ws_limits *limits)
{
    channels__ws_message *m = in->message;
    bool last = frame->fin && to_come == 0, text = frame->opcode == WSLAY_TEXT_FRAME;
    if (m == NULL && last) /* all in one piece: shown where wslay unmasked it */
        return show(text ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, frame->data,
                    frame->data_length);
    if (m == NULL && (m = in->message = channels__zalloc(ws->mem, sizeof *m)) != NULL)
        m->text = text;
    size_t bound = limits->max_message;
    if (m != NULL && frame->fin)
        bound = m->len + frame->data_length + (size_t)to_come;
    if (m == NULL || !append(ws, m, frame->data, frame->data_length, bound))
        return show(CHANNELS__WS_NOMEM, NULL, 0);
    if (m->text &&
        (!channels__utf8_feed(&m->utf8, frame->data, frame->data_length) || (last && m->utf8 != 0)))
        return fault(WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
    if (!last)
        return nothing();
    m->whole = true;
    return show(m->text ? CHANNELS__WS_TEXT : CHANNELS__WS_BINARY, m->bytes, m->len);
}

static uint64_t frame_size(uint64_t payload) /* of a masked one */
{
    return 2 + (payload < 126 ? 0u : payload < 65536 ? 2u : 8u) + 4 + payload;
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
        lens->pending -= frame_size(frame->payload_length);
    }
    if (wslay_is_ctrl_frame(frame->opcode))
        return read_control(lens, frame, to_come == 0);
    return read_data(ws, in, frame, to_come, limits);
}

bool channels__ws_in_give(channels__ws *ws, channels__ws_in *in, const void *data, size_t len)
{
    if (in->lens == NULL)
        in->lens = borrow(ws);
    if (in->lens == NULL)
        return false;
    in->lens->given = in->lens->bytes = data;
    in->lens->len = len;
    return true;
}

static void message_end(channels__ws *ws, channels__ws_in *in)
{
    if (in->message == NULL)
        return;
    channels__free(ws->mem, in->message->bytes, in->message->size);
    channels__free(ws->mem, in->message, sizeof *in->message);
    in->message = NULL;
}

static void lens_end(channels__ws *ws, channels__ws_in *in)
{
    if (in->lens != NULL)
        give_back(ws, in->lens);
    in->lens = NULL;
}

channels__ws_got channels__ws_next(channels__ws *ws, channels__ws_in *in,
                                   const channels__ws_limits *limits)
{
    struct wslay_frame_iocb frame;
    channels__ws_got got = nothing();
    if (in->message != NULL && in->message->whole)
        message_end(ws, in);
    while (got.event == CHANNELS__WS_NONE) {
        ssize_t n = wslay_frame_recv(in->lens->ctx, &frame);
        if (n == WSLAY_ERR_WANT_READ) {
            int code = in->lens->begun ? 0 : judge_head(in, limits);
            if (code != 0)
                return fault(code);
            if (in->lens->pending == 0)
                lens_end(ws, in);
            break;
        }
        got = n >= 0 ? read_piece(ws, in, &frame, limits) : fault(WSLAY_CODE_PROTOCOL_ERROR);
    }
    return got;
}

void channels__ws_in_end(channels__ws *ws, channels__ws_in *in)
{
    lens_end(ws, in);
    message_end(ws, in);
}
