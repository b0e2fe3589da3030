/* codec.c - see codec.h. */
#include "wire/codec.h"

#include "base/buf.h"
#include "wire/json.h"
#include "wire/utf8.h"

/* --- Memory ------------------------------------------------------------------------------- */

struct channels__codec_block {
    channels__codec_block *next;
    size_t size; /* with this header */
    _Alignas(max_align_t) char bytes[];
};

void channels__codec_init(channels_codec *codec, const channels__mem *mem)
{
    channels__scratch_init(&codec->scratch, mem);
    channels__scratch_init(&codec->around, mem);
    codec->blocks = NULL;
    codec->max_nesting = CHANNELS__JSON_NESTING;
}

void channels__codec_release(channels_codec *codec, const channels__codec_block *until)
{
    while (codec->blocks != until) {
        channels__codec_block *block = codec->blocks;
        codec->blocks = block->next;
        channels__free(codec->scratch.mem, block, block->size);
    }
}

void channels__codec_deinit(channels_codec *codec)
{
    channels__codec_release(codec, NULL);
    channels__scratch_deinit(&codec->scratch);
    channels__scratch_deinit(&codec->around);
}

void *channels_codec_alloc(channels_codec *codec, size_t n)
{
    channels__codec_block *block = NULL;
    if (n <= SIZE_MAX - sizeof *block)
        block = channels__alloc(codec->scratch.mem, sizeof *block + n);
    if (block == NULL)
        return NULL;
    block->next = codec->blocks;
    block->size = sizeof *block + n;
    codec->blocks = block;
    return block->bytes;
}

channels_buf *channels_codec_buf(channels_codec *codec, size_t len, void **bytes)
{
    channels_buf *buf = channels__buf_new(codec->scratch.mem, len);
    *bytes = buf != NULL ? channels__buf_bytes(buf) : NULL;
    return buf;
}

/* --- What a serializer of the host's has read --------------------------------------------- */

/* An empty ref would be taken for the absent one later. */
static bool take_ref(channels__str *ref)
{
    if (ref->n == 0)
        ref->p = NULL;
    if (ref->p == NULL)
        ref->n = 0;
    return ref->n == 0 || memchr(ref->p, '\0', ref->n) == NULL;
}

static bool is_name(channels__str name)
{
    return name.p == NULL || (channels__utf8_valid(name.p, name.n) &&
                              (name.n == 0 || memchr(name.p, '\0', name.n) == NULL));
}

/* Callbacks are shown names that end in a NUL. Not in the scratch: a serializer that asks one of
 * Phoenix' for help has its message there. */
static bool terminate(channels_codec *codec, channels__str *name)
{
    if (name->p == NULL)
        return true;
    char *copy = channels_codec_alloc(codec, name->n + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, name->p, name->n);
    copy[name->n] = '\0';
    name->p = copy;
    return true;
}

static bool is_payload(channels_payload p, uint32_t max_nesting)
{
    if (p.data == NULL && p.len != 0)
        return false;
    if (p.kind == CHANNELS_JSON)
        return p.len != 0 &&
               channels__json_check(channels__str_n(p.data, p.len), max_nesting, false);
    return p.kind == CHANNELS_BINARY;
}

static int vet(channels_codec *codec, channels_incoming *msg)
{
    if (!take_ref(&msg->join_ref) || !take_ref(&msg->ref) || !take_ref(&msg->raw_topic) ||
        (msg->topic.p == NULL && msg->raw_topic.p == NULL) || !is_name(msg->topic) ||
        !is_name(msg->event) || !is_payload(msg->payload, codec->max_nesting))
        return CHANNELS_ERR_PROTOCOL;
    return terminate(codec, &msg->topic) && terminate(codec, &msg->event) ? CHANNELS_OK
                                                                          : CHANNELS_ERR_NOMEM;
}

int channels__codec_decode_foreign(channels_codec *codec, const channels_serializer *s,
                                   channels_payload frame, channels_incoming *msg)
{
    memset(msg, 0, sizeof *msg);
    int err = s->decode(codec, frame, msg);
    if (err == CHANNELS_OK)
        return vet(codec, msg);
    return err == CHANNELS_ERR_NOMEM ? err : CHANNELS_ERR_PROTOCOL;
}

/* --- What it has written ------------------------------------------------------------------ */

/* A transport will put its header in front of it. */
static bool is_untouched(const channels_buf *buf)
{
    return buf->refs == 1 && buf->start == CHANNELS__HEADROOM;
}

int channels__codec_encode_foreign(channels_codec *codec, const channels_serializer *s,
                                   const channels_outgoing *msg, channels_buf **buf,
                                   channels_kind *kind)
{
    const channels__codec_block *before = codec->blocks;
    channels_buf *made = NULL;
    *buf = NULL;
    int err = s->encode(codec, msg, &made, kind);
    channels__codec_release(codec, before);
    if (err != CHANNELS_OK) /* what it left in `made` is not ours */
        return err == CHANNELS_ERR_NOMEM ? err : CHANNELS_ERR_INVALID;
    bool known = *kind == CHANNELS_TEXT || *kind == CHANNELS_BINARY;
    if (made == NULL || !is_untouched(made) || !known) {
        channels_buf_unref(made);
        return CHANNELS_ERR_INVALID;
    }
    *buf = made;
    return CHANNELS_OK;
}
