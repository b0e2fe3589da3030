/* test_outq.c - lib/base/outq.c: order, partial writes, marks, growth. */
#include <string.h>

#include "base/outq.h"
#include "unit/faulty.h"

/* Takes the buf's only reference into the queue; a number is its content. */
static bool push(channels__outq *q, faulty *f, unsigned number, bool mark)
{
    channels_buf *buf = channels__buf_new(&f->mem, 4);
    if (buf == NULL)
        return false;
    memcpy(channels__buf_bytes(buf), &number, 4);
    bool ok = channels__outq_push(q, &f->mem, buf, mark);
    channels_buf_unref(buf);
    return ok;
}

/* The first buf leaves as a whole. */
static void leaves(channels__outq *q, faulty *f, unsigned number, bool marked)
{
    size_t len = 4;
    bool mark = !marked;
    channels_buf *buf = channels__outq_retire(q, &f->mem, &len, &mark);
    assert_non_null(buf);
    assert_int_equal(len, 0);
    assert_int_equal(mark, marked);
    assert_memory_equal(channels__buf_bytes(buf), &number, 4);
    channels_buf_unref(buf);
}

static void in_order_with_marks(void **state)
{
    faulty f;
    channels__outq q;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    for (unsigned i = 0; i < 3; i++)
        assert_true(push(&q, &f, i, i == 1));
    for (unsigned i = 0; i < 3; i++)
        assert_memory_equal(channels__buf_bytes(channels__outq_at(&q, i)), &i, 4);
    leaves(&q, &f, 0, false);
    leaves(&q, &f, 1, true);
    assert_true(push(&q, &f, 3, true));
    leaves(&q, &f, 2, false);
    leaves(&q, &f, 3, true);
    assert_int_equal(q.count, 0);
    assert_int_equal(f.memory.blocks, 0);
}

static void a_few_need_no_memory(void **state)
{
    faulty f;
    channels__outq q;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    for (unsigned i = 0; i < CHANNELS__OUTQ_FEW; i++)
        push(&q, &f, i, false);
    assert_int_equal(f.memory.blocks, CHANNELS__OUTQ_FEW);
    push(&q, &f, CHANNELS__OUTQ_FEW, false);
    assert_int_equal(f.memory.blocks, CHANNELS__OUTQ_FEW + 2);
    for (unsigned i = 0; i <= CHANNELS__OUTQ_FEW; i++)
        leaves(&q, &f, i, false);
    assert_int_equal(f.memory.blocks, 0); /* the ring went with the last */
    push(&q, &f, 7, true);
    assert_int_equal(f.memory.blocks, 1);
    leaves(&q, &f, 7, true);
}

static void grows_wherever_its_head_is(void **state)
{
    (void)state;
    for (unsigned head = 0; head < CHANNELS__OUTQ_FEW; head++) {
        faulty f;
        channels__outq q;
        faulty_init(&f);
        channels__outq_init(&q);
        for (unsigned i = 0; i < head + 1; i++)
            push(&q, &f, i, false);
        for (unsigned i = 0; i < head; i++)
            leaves(&q, &f, i, false);
        for (unsigned i = head + 1; i < 100; i++)
            push(&q, &f, i, i % 2 != 0);
        for (unsigned i = head; i < 100; i++)
            leaves(&q, &f, i, i > head && i % 2 != 0);
        assert_int_equal(f.memory.blocks, 0);
    }
}

static void shows_what_has_not_left(void **state)
{
    faulty f;
    channels__outq q;
    struct iovec iov[8];
    bool mark;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    assert_int_equal(channels__outq_view(&q, iov, 8, NULL, 0), 0);
    for (unsigned i = 0; i < 6; i++)
        push(&q, &f, i, false);
    assert_int_equal(channels__outq_view(&q, iov, 4, NULL, 0), 4);
    assert_int_equal(channels__outq_view(&q, iov, 8, NULL, 0), 6);
    size_t len = 3;
    assert_null(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_int_equal(len, 0);
    assert_int_equal(channels__outq_view(&q, iov, 8, NULL, 0), 6);
    assert_int_equal(iov[0].iov_len, 1);
    assert_int_equal(iov[1].iov_len, 4);
    len = 1 + 4 + 2;
    for (int i = 0; i < 2; i++)
        channels_buf_unref(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_null(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_int_equal(channels__outq_view(&q, iov, 8, NULL, 0), 4);
    assert_int_equal(iov[0].iov_len, 2);
    len = 1000; /* more than there is */
    for (int i = 0; i < 4; i++)
        channels_buf_unref(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_null(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_int_equal(len, 1000 - 2 - 3 * 4);
    assert_int_equal(f.memory.blocks, 0);
}

static void push_sized(channels__outq *q, faulty *f, size_t len, char fill)
{
    channels_buf *buf = channels__buf_new(&f->mem, len);
    assert_non_null(buf);
    memset(channels__buf_bytes(buf), fill, len);
    assert_true(channels__outq_push(q, &f->mem, buf, false));
    channels_buf_unref(buf);
}

/* Bytes in order however they are cut, with as few entries as told. */
static void assert_view(const channels__outq *q, size_t room, int entries, size_t sent)
{
    static const size_t sizes[] = { 3, 5, 2000, 4, 1024, 1025, 0, 6 };
    char expected[8000], got[8000], bytes[4096];
    struct iovec iov[8];
    size_t n = 0, want = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; want += sizes[i++])
        memset(expected + want, (int)('a' + i), sizes[i]);
    assert_true(room <= sizeof bytes);
    assert_int_equal(channels__outq_view(q, iov, 8, bytes, room), entries);
    for (int i = 0; i < entries; n += iov[i++].iov_len)
        memcpy(got + n, iov[i].iov_base, iov[i].iov_len);
    assert_int_equal(n, want - sent);
    assert_memory_equal(got, expected + sent, n);
}

static void small_ones_in_a_row(void **state)
{
    static const size_t sizes[] = { 3, 5, 2000, 4, 1024, 1025, 0, 6 };
    faulty f;
    channels__outq q;
    bool mark;
    size_t len = 2;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        push_sized(&q, &f, sizes[i], (char)('a' + i));
    assert_view(&q, 0, 8, 0);
    assert_view(&q, 7, 8, 0);    /* 3 and 4 are copied, but not in a row */
    assert_view(&q, 4096, 5, 0); /* 3 5, 2000, 4 1024, 1025, 0 6 */
    assert_null(channels__outq_retire(&q, &f.mem, &len, &mark));
    assert_view(&q, 4096, 5, 2);
    channels__outq_clear(&q, &f.mem);
    assert_int_equal(f.memory.blocks, 0);
}

static void one_alone_is_not_copied(void **state)
{
    faulty f;
    channels__outq q;
    struct iovec iov[2];
    char room[64];
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    push(&q, &f, 7, false);
    assert_int_equal(channels__outq_view(&q, iov, 2, room, sizeof room), 1);
    assert_ptr_equal(iov[0].iov_base, channels__buf_bytes(channels__outq_at(&q, 0)));
    channels__outq_clear(&q, &f.mem);
    assert_int_equal(f.memory.blocks, 0);
}

static void knows_what_has_begun(void **state)
{
    faulty f;
    channels__outq q;
    bool mark;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    channels_buf *buf = channels__buf_new(&f.mem, 4);
    channels__outq_push(&q, &f.mem, buf, false);
    push(&q, &f, 1, false);
    assert_false(channels__outq_begun(&q, buf));
    size_t len = 1;
    channels__outq_retire(&q, &f.mem, &len, &mark);
    assert_true(channels__outq_begun(&q, buf));
    len = 4; /* the rest, and of the next */
    channels_buf_unref(channels__outq_retire(&q, &f.mem, &len, &mark));
    channels__outq_retire(&q, &f.mem, &len, &mark);
    assert_false(channels__outq_begun(&q, buf));
    channels_buf_unref(buf);
    channels__outq_clear(&q, &f.mem);
    assert_int_equal(f.memory.blocks, 0);
}

static void nothing_of_4_gb(void **state)
{
    faulty f;
    channels__outq q;
    (void)state;
    faulty_init(&f);
    channels__outq_init(&q);
    channels_buf *buf = channels__buf_new(&f.mem, 1);
    buf->len = (size_t)UINT32_MAX + 1;
    assert_false(channels__outq_push(&q, &f.mem, buf, false));
    assert_int_equal(q.count, 0);
    buf->len = 1;
    channels_buf_unref(buf);
    assert_int_equal(f.memory.blocks, 0);
}

static bool fill(faulty *f)
{
    channels__outq q;
    bool ok = true;
    channels__outq_init(&q);
    for (unsigned i = 0; i < 20; i++)
        ok &= push(&q, f, i, false);
    channels__outq_clear(&q, &f->mem);
    return ok;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    faulty_run(fill);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_with_marks),        cmocka_unit_test(a_few_need_no_memory),
        cmocka_unit_test(grows_wherever_its_head_is), cmocka_unit_test(shows_what_has_not_left),
        cmocka_unit_test(small_ones_in_a_row),        cmocka_unit_test(one_alone_is_not_copied),
        cmocka_unit_test(knows_what_has_begun),       cmocka_unit_test(nothing_of_4_gb),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
