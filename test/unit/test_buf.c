/* test_buf.c - lib/base/buf.c and its public half. */
#include <string.h>

#include "base/buf.h"
#include "unit/faulty.h"

static channels_buf *buf_of(faulty *f, const char *text)
{
    channels_buf *buf = channels__buf_new(&f->mem, strlen(text));
    if (buf != NULL)
        memcpy(channels__buf_bytes(buf), text, strlen(text));
    return buf;
}

static void assert_shows(const channels_buf *buf, const char *text)
{
    size_t len = 0;
    const void *data = channels_buf_data(buf, &len);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(data, text, len);
}

static void shows_what_was_put_in(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    channels_buf *buf = buf_of(&f, "payload"), *empty = buf_of(&f, "");
    assert_shows(buf, "payload");
    assert_shows(empty, "");
    channels_buf_unref(buf);
    channels_buf_unref(empty);
    assert_int_equal(f.memory.blocks, 0);
}

static void headers_go_in_front(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    channels_buf *buf = buf_of(&f, "payload");
    memcpy(channels__buf_bytes(buf) - CHANNELS__HEADROOM, "abcdefgh12", CHANNELS__HEADROOM);
    channels__buf_prepend(buf, 2);
    assert_shows(buf, "12payload");
    channels__buf_prepend(buf, 0);
    channels__buf_prepend(buf, CHANNELS__HEADROOM - 2);
    assert_shows(buf, "abcdefgh12payload");
    channels_buf_unref(buf);
    assert_int_equal(f.memory.blocks, 0);
}

static void lives_as_long_as_its_last_reference(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    channels_buf *buf = buf_of(&f, "shared");
    assert_ptr_equal(channels_buf_ref(buf), buf);
    assert_ptr_equal(channels_buf_ref(buf), buf);
    channels_buf_unref(buf);
    channels_buf_unref(buf);
    assert_int_equal(f.memory.blocks, 1);
    assert_shows(buf, "shared");
    channels_buf_unref(buf);
    assert_int_equal(f.memory.blocks, 0);
    channels_buf_unref(NULL);
}

static void out_of_memory_is_null(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    f.memory.fail_at = 1;
    assert_null(buf_of(&f, "x"));
    assert_int_equal(f.memory.calls, 1);
}

static void sizes_do_not_wrap_around(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    assert_null(channels__buf_new(&f.mem, SIZE_MAX));
    assert_null(channels__buf_new(&f.mem, SIZE_MAX - CHANNELS__HEADROOM));
    assert_null(channels__buf_new(&f.mem, SIZE_MAX - sizeof(channels_buf)));
    assert_int_equal(f.memory.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_was_put_in),
        cmocka_unit_test(headers_go_in_front),
        cmocka_unit_test(lives_as_long_as_its_last_reference),
        cmocka_unit_test(out_of_memory_is_null),
        cmocka_unit_test(sizes_do_not_wrap_around),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
