/* longpoll_message.c - see longpoll_message.h. */
#include "wire/longpoll_message.h"

#include "base/bytes.h"

#define VERSION 1
#define HEAD 15

size_t channels__longpoll_message_size(const channels__longpoll_message *m)
{
    return HEAD + m->token.n + 1 + m->body.n;
}

void channels__longpoll_message_write(const channels__longpoll_message *m, unsigned char *to)
{
    *to++ = VERSION;
    *to++ = (unsigned char)m->kind;
    *to++ = m->flag;
    to = channels__put_number(to, m->status, 2);
    to = channels__put_number(to, m->id, 8);
    to = channels__put_number(to, m->token.n, 2);
    to = channels__put(to, m->token.p, m->token.n);
    *to++ = '\0';
    channels__put(to, m->body.p, m->body.n);
}

bool channels__longpoll_message_read(channels__str payload, channels__longpoll_message *m)
{
    const unsigned char *p = (const unsigned char *)payload.p;
    if (payload.n <= HEAD || p[0] != VERSION || p[1] >= CHANNELS__LONGPOLL_KINDS || p[2] > 1)
        return false;
    m->kind = p[1];
    m->flag = p[2] != 0;
    m->status = (uint16_t)channels__get_number(p + 3, 2);
    m->id = channels__get_number(p + 5, 8);
    m->token = channels__str_n(payload.p + HEAD, channels__get_number(p + 13, 2));
    if (payload.n - HEAD <= m->token.n ||
        memchr(m->token.p, '\0', m->token.n + 1) != m->token.p + m->token.n)
        return false;
    m->body = channels__str_n(m->token.p + m->token.n + 1, payload.n - HEAD - m->token.n - 1);
    return m->kind != CHANNELS__LONGPOLL_ANSWER || (m->status >= 200 && m->status < 600);
}
