/* test_core_copies.c - what a broadcast copies: its payload once for each format that is spoken in
 * the topic, and once for all callbacks together; nothing for who hears it. */
#include <channels/pubsub.h>
#include <sys/uio.h>

#include "unit/conn_case.h"

#define MANY 200
#define PAYLOAD 4096
#define AROUND 256 /* bytes: the message around a payload, and what is kept of it */

/* A JSON object of PAYLOAD bytes. */
static channels_payload large(void)
{
    static char text[PAYLOAD + 1];
    snprintf(text, sizeof text, "{\"text\":\"%0*d\"}", PAYLOAD - 11, 0);
    return channels_json(text);
}

typedef struct crowd {
    conn_case *t;
    conn_client clients[MANY];
    unsigned count;
    sim_memory before;
} crowd;

static crowd *crowd_new(conn_case *t)
{
    crowd *c = calloc(1, sizeof *c);
    c->t = t;
    return c;
}

static void crowd_free(crowd *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        conn_close(&c->clients[i]);
        free(c->clients[i].got);
    }
    free(c);
}

/* They join, and then nothing can be written to them. */
static void come(crowd *c, unsigned count, bool half_v1)
{
    for (; c->count < count; c->count++) {
        conn_client *client = &c->clients[c->count];
        bool v1 = half_v1 && c->count % 2 != 0;
        conn_open(client, c->t);
        conn_say(client, v1 ? HANDSHAKE_OF("/socket/websocket?vsn=1.0.0") : HANDSHAKE);
        conn_text(client, v1 ? "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}"
                             : "['1','1','room:a','phx_join',{}]");
        assert_non_null(strstr(client->got, "\"status\":\"ok\""));
    }
    for (unsigned i = 0; i < count; i++)
        c->clients[i].window = 0;
}

static void broadcast(crowd *c)
{
    c->before = c->t->memory;
    assert_int_equal(channels_pubsub_broadcast(c->t->host.ep, "room:a", "say", large()),
                     CHANNELS_OK);
}

/* So many blocks were asked for, and all are still there: a payload each, and little more. */
static void took_payloads(crowd *c, size_t n)
{
    const sim_memory *now = &c->t->memory;
    assert_int_equal(now->calls - c->before.calls, n);
    assert_int_equal(now->blocks - c->before.blocks, n);
    assert_in_range(now->bytes - c->before.bytes, n * PAYLOAD, n * (PAYLOAD + AROUND));
}

/* Where what is to be written to it stands. */
static const void *waiting(const crowd *c, unsigned i)
{
    struct iovec iov;
    assert_int_equal(channels_conn_output(c->clients[i].conn, &iov, 1), 1);
    assert_in_range(iov.iov_len, PAYLOAD, PAYLOAD + AROUND);
    return iov.iov_base;
}

static void all_hear(crowd *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        size_t before = c->clients[i].len;
        c->clients[i].window = SIZE_MAX;
        conn_flush(&c->clients[i]);
        assert_in_range(c->clients[i].len - before, PAYLOAD, PAYLOAD + AROUND);
    }
    assert_int_equal(c->t->memory.blocks, c->before.blocks);
    assert_int_equal(c->t->memory.bytes, c->before.bytes);
}

/* --- Clients ------------------------------------------------------------------------------ */

static void clients_share_one_message(conn_case *t)
{
    crowd *c = crowd_new(t);
    for (unsigned count = 1; count <= MANY; count *= MANY) {
        come(c, count, false);
        broadcast(c);
        took_payloads(c, 1);
        for (unsigned i = 1; i < count; i++)
            assert_ptr_equal(waiting(c, i), waiting(c, 0));
        all_hear(c);
    }
    crowd_free(c);
}

static void each_format_is_made_once(conn_case *t)
{
    crowd *c = crowd_new(t);
    for (unsigned count = 2; count <= MANY; count *= MANY / 2) {
        come(c, count, true);
        broadcast(c);
        took_payloads(c, 2);
        assert_ptr_not_equal(waiting(c, 0), waiting(c, 1));
        for (unsigned i = 2; i < count; i++)
            assert_ptr_equal(waiting(c, i), waiting(c, i % 2));
        all_hear(c);
    }
    crowd_free(c);
}

/* --- Callbacks ---------------------------------------------------------------------------- */

typedef struct ears {
    const void *heard; /* the payload */
    unsigned count, elsewhere;
} ears;

static void hear(void *arg, const channels_msg *msg)
{
    ears *e = arg;
    e->elsewhere += e->heard != NULL && e->heard != msg->payload.data;
    e->heard = msg->payload.data;
    e->count++;
}

/* The queue of what callbacks have still to be told grows with the first broadcast. */
static void callbacks_share_one_copy(conn_case *t)
{
    ears e = { 0 };
    for (unsigned count = 0; count < MANY; count++)
        assert_int_equal(channels_pubsub_subscribe(t->host.ep, "room:a", hear, &e, NULL),
                         CHANNELS_OK);
    for (unsigned i = 1; i <= 2; i++) {
        size_t calls = t->memory.calls, blocks = t->memory.blocks;
        e.heard = NULL;
        assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "say", large()),
                         CHANNELS_OK);
        assert_int_equal(e.count, i * MANY);
        assert_int_equal(e.elsewhere, 0);
        if (i == 2) {
            assert_int_equal(t->memory.calls - calls, 1);
            assert_int_equal(t->memory.blocks, blocks);
        }
    }
}

int main(void)
{
    static const conn_test tests[] = { CONN_TEST(clients_share_one_message),
                                       CONN_TEST(each_format_is_made_once),
                                       CONN_TEST(callbacks_share_one_copy) };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
