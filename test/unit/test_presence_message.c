/* test_presence_message.c - what nodes say, byte by byte: the format as message.c tells it, what is
 * refused, and that no message, however cut or changed, does more than its worth. */
#include "unit/presence_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(...) \
    ((const unsigned char[]){ __VA_ARGS__ }), sizeof((const unsigned char[]){ __VA_ARGS__ })
#define ENTRY 1, 1, 0, 0, 1, 't', 1, 'k', 2, '{', '}' /* the first change: "k" in "t" */

static int receive(presence_node *n, const void *data, size_t len)
{
    void *exact = malloc(len != 0 ? len : 1); /* so that reading on is found */
    memcpy(exact, data, len);
    int err = channels__state_receive(n->state, "z", 4711, exact, len, n->c->now);
    free(exact);
    return err;
}

/* --- The format --------------------------------------------------------------------------- */

#define sent(c, ...) sent_at(c, BYTES(__VA_ARGS__), __LINE__)
static void sent_at(presence_case *c, const unsigned char *bytes, size_t len, int line)
{
    presence_parcel *p = c->first;
    if (p == NULL || p->len != len || memcmp(p->data, bytes, len) != 0)
        fprintf(stderr, "line %d: another message was sent\n", line);
    assert_non_null(p);
    assert_memory_equal(p->data, bytes, len);
    assert_int_equal(p->len, len);
    free(presence_take(c));
}

static void messages_are_written_so(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    const channels__str topic = channels__str_z("t"), json = channels__str_z("{}");
    uint64_t born[3];
    channels__state_track(a->state, topic, channels__str_z("k"), json, &born[0]);
    channels__state_track(a->state, topic, channels__str_z("long"), json, &born[1]);
    channels__state_track(a->state, channels__str_z("u"), channels__str_z(""), json, &born[2]);
    channels__state_tick(a->state, c->now);
    sent(c, 1, 1, 0, 3, 0, 3, ENTRY, 2, 1, 0, 0, 4, 'l', 'o', 'n', 'g', 2, '{', '}', 1, 1, 0, 0, 1,
         'u', 0, 2, '{', '}');
    channels__state_update(a->state, born[1], channels__str_z("{\"x\":1}"));
    channels__state_untrack(a->state, born[0]);
    channels__state_tick(a->state, c->now);
    sent(c, 1, 1, 0, 5, 3, 5, 1, 1, 2, 2, 1, 't', 4, 'l', 'o', 'n', 'g', 7, '{', '"', 'x', '"', ':',
         '1', '}', 0, 1, 4);
    channels__state_bye(a->state);
    sent(c, 1, 4, 0, 5, 0, 0);
}

static void entries_are_read_so(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    assert_int_equal(receive(a, BYTES(1, 1, 0, 1, 0, 1, ENTRY)), CHANNELS_OK);
    reported(a, "+k");
    assert_int_equal(receive(a, BYTES(1, 1, 0, 2, 1, 2, 0, 1, 1)), CHANNELS_OK);
    reported(a, "-k");
}

/* --- What is refused ---------------------------------------------------------------------- */

#define refused(n, ...) refused_at(n, BYTES(__VA_ARGS__), __LINE__)
static void refused_at(presence_node *n, const unsigned char *bytes, size_t len, int line)
{
    size_t blocks = n->faulty.memory.blocks;
    int err = receive(n, bytes, len);
    if (err != CHANNELS_ERR_PROTOCOL)
        fprintf(stderr, "line %d: not refused\n", line);
    assert_int_equal(err, CHANNELS_ERR_PROTOCOL);
    assert_int_equal(n->faulty.memory.blocks, blocks);
    assert_int_equal(presence_status(n, "z"), -1);
}

static void broken_heads_are_refused(void **state)
{
    presence_node *a = presence_node_start(*state, 0);
    assert_int_equal(receive(a, "", 0), CHANNELS_ERR_PROTOCOL);
    refused(a, 1);
    refused(a, 2, 1, 0, 1, 0, 1, ENTRY); /* another version */
    refused(a, 0, 1, 0, 1, 0, 1, ENTRY);
    refused(a, 1, 0, 0, 0, 0, 0);
    refused(a, 1, 5, 0, 0, 0, 0);
    refused(a, 1, 1, 0, 0, 0);    /* no `to` */
    refused(a, 1, 1, 0, 1, 2, 1); /* backwards */
    refused(a, 1, 1, 0, 1, 0, 2); /* more than there is */
    refused(a, 1, 3, 0, 1, 1, 0);
    refused(a, 1, 3, 0, 9, 3, 3);             /* a part that does not get on */
    refused(a, 1, 2, 0, 0, 0, 0, ENTRY);      /* a request with records */
    refused(a, 1, 4, 0, 1, 0, 0, ENTRY);      /* a bye with records */
    refused(a, 1, 4, 0, 1, 1, 0);             /* with a range */
    refused(a, 1, 1, 0, 0x80, 0x80);          /* a number without an end */
    refused(a, 1, 1, 0, 0, 0, 0, 0x80, 0x80); /* no record */
    refused(a, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0); /* 2^64 */
    refused(a, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 0);
    assert_int_equal(a->lines, 1);
}

static void broken_records_are_refused(void **state)
{
    presence_node *a = presence_node_start(*state, 0);
    static const unsigned char good[] = { 1, 1, 0, 1, 0, 1, ENTRY };
    for (size_t len = 7; len < sizeof good; len++) {
        assert_int_equal(receive(a, good, len), CHANNELS_ERR_PROTOCOL);
        assert_int_equal(presence_status(a, "z"), -1);
    }
    refused(a, 1, 1, 0, 9, 0, 9, 3, 1, 0);                                 /* kind */
    refused(a, 1, 1, 0, 9, 0, 9, 2, 1, 0, 0, 1, 'k', 2, '{', '}');         /* the topic of which? */
    refused(a, 1, 1, 0, 9, 5, 9, 1, 0, 0, 0, 1, 't', 1, 'k', 2, '{', '}'); /* clock 5 */
    refused(a, 1, 1, 0, 9, 0, 1, 1, 2, 0, 0, 1, 't', 1, 'k', 2, '{', '}'); /* behind the range */
    refused(a, 1, 1, 0, 9, 0, 9, ENTRY, 2, 0, 0, 0, 1, 'k', 2, '{', '}');  /* the same clock */
    refused(a, 1, 1, 0, 9, 0, 9, 1, 2, 3, 0, 1, 't', 1, 'k', 2, '{', '}'); /* born before all */
    refused(a, 1, 1, 0, 9, 0, 9, 1, 2, 2, 0, 1, 't', 1, 'k', 2, '{', '}'); /* born at 0 */
    refused(a, 1, 1, 0, 9, 0, 9, 1, 5, 2, 0, 1, 't', 1, 'k', 2, '{', '}'); /* changed when? */
    refused(a, 1, 1, 0, 9, 0, 9, 1, 5, 2, 3, 1, 't', 1, 'k', 2, '{', '}'); /* before it was born */
    refused(a, 1, 1, 0, 9, 0, 9, 1, 5, 0, 1, 1, 't', 1, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 9, 0, 9, 1, 5, 2, 6, 1, 't', 1, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 9, 0, 9, 0, 5, 0); /* removed as it was born */
    refused(a, 1, 1, 0, 9, 0, 9, 0, 5, 5); /* born at 0 */
    refused(a, 1, 3, 0, 9, 0, 9, 0, 5, 1); /* in a snapshot */
    refused(a, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 5, 0, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1); /* past 2^64 */
    assert_int_equal(a->lines, 1);
}

static void broken_texts_are_refused(void **state)
{
    presence_node *a = presence_node_start(*state, 0);
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, '\0', 1, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0xff, 1, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 1, 0xc3, 2, '{', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 1, 'k', 2, '[', ']');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 1, 'k', 1, '{');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 1, 'k', 3, '{', '}', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 1, 'k', 0);
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 't', 99, 'k', 2, '{', '}');
    refused(a, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            1, 't');
    assert_int_equal(a->lines, 1);
}

/* One line for each who is not understood, and not for ever. */
static void each_stranger_is_told_of_once(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    for (unsigned round = 0; round < 3; round++)
        for (uint64_t life = 1; life <= 5; life++)
            assert_int_equal(channels__state_receive(a->state, "z", life, "\2", 1, c->now),
                             CHANNELS_ERR_PROTOCOL);
    assert_int_equal(a->lines, 5);
}

/* --- Cut and changed ---------------------------------------------------------------------- */

/* Each kind that a and b have to say to each other. */
static void record(presence_case *c)
{
    uint64_t born[12];
    c->config.max_removals = 2;
    c->config.max_message = 120;
    presence_node *a = presence_node_start(c, 0);
    presence_node *b = presence_node_start(c, 1);
    for (unsigned i = 0; i < 12; i++)
        presence_track_in(a, i % 3, i % 2 ? "anna" : "b\xc3\xa4r", "{\"x\":[1,\"\xc3\xa4\"]}",
                          &born[i]);
    channels__state_tick(a->state, c->now);
    presence_update(a, born[2], "{\"y\":2}");
    for (unsigned i = 6; i < 12; i++)
        presence_untrack(a, born[i]);
    channels__state_tick(a->state, c->now);
    channels__state_tick(b->state, c->now);
}

/* What comes of one message, to one that knows the sender a little and has asked it. */
static void try(presence_case *c, const presence_parcel *p, const unsigned char *data, size_t len)
{
    static const unsigned char before[] = { 1, 1, 0, 9, 0, 3, ENTRY };
    presence_node *n = presence_node_start(c, 5);
    char *exact = sim_alloc(len != 0 ? len : 1);
    memcpy(exact, data, len);
    assert_int_equal(channels__state_receive(n->state, p->from, p->incarnation, before,
                                             sizeof before, c->now),
                     CHANNELS_OK);
    size_t blocks = n->faulty.memory.blocks;
    int err = channels__state_receive(n->state, p->from, p->incarnation, exact, len, c->now);
    if (err != CHANNELS_OK) {
        assert_int_equal(err, CHANNELS_ERR_PROTOCOL);
        assert_int_equal(n->faulty.memory.blocks, blocks);
    }
    assert_true(n->faulty.memory.bytes < 10000);
    presence_check(n);
    channels__state_tick(n->state, c->now + 1);
    presence_check(n);
    free(exact);
    presence_node_kill(n);
    for (presence_parcel *sent = presence_take(c), *next; sent != NULL; sent = next) {
        next = sent->next;
        free(sent);
    }
}

static void mangle(presence_case *c, const presence_parcel *p)
{
    unsigned char data[1024];
    assert_true(p->len <= sizeof data);
    for (size_t len = 0; len <= p->len; len++)
        try(c, p, p->data, len);
    memcpy(data, p->data, p->len);
    for (size_t i = 0; i < p->len; i++)
        for (unsigned bit = 0; bit < 9; bit++) { /* the last: all of them */
            data[i] ^= (unsigned char)(bit < 8 ? 1u << bit : 0xffu);
            try(c, p, data, p->len);
            data[i] = p->data[i];
        }
}

static void cut_and_changed_messages_do_no_harm(void **state)
{
    presence_case *c = *state;
    unsigned types[5] = { 0 }, count = 0;
    presence_parcel *queue[100];
    record(c);
    while (c->first != NULL) { /* keeps what it delivers */
        presence_parcel *p = sim_alloc(sizeof *p + c->first->len);
        memcpy(p, c->first, sizeof *p + c->first->len);
        assert_true(count < 100);
        queue[count++] = p;
        presence_deliver_one(c);
    }
    channels__state_bye(c->nodes[0].state);
    queue[count++] = presence_take(c);
    for (unsigned i = 0; i < count; i++) {
        types[queue[i]->data[1]]++;
        mangle(c, queue[i]);
        free(queue[i]);
    }
    for (unsigned type = 1; type < 5; type++)
        assert_true(types[type] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(messages_are_written_so),
        PRESENCE_TEST(entries_are_read_so),
        PRESENCE_TEST(broken_heads_are_refused),
        PRESENCE_TEST(broken_records_are_refused),
        PRESENCE_TEST(broken_texts_are_refused),
        PRESENCE_TEST(each_stranger_is_told_of_once),
        PRESENCE_TEST(cut_and_changed_messages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
