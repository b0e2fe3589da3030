/* main.c - one run of the load generator by hand: see load.h. It prints a line of JSON.
 *
 *     load --port N [--mode fanout|echo|idle|churn|rejoin] [--longpoll] [--path /MOUNT]
 *          [--clients N] [--topics N] [--publishers N] [--payload BYTES] [--window N] [--rate N]
 *          [--warmup S] [--duration S] [--drain S] [--server PID] [--core N]
 *
 * It ends with 1 if a count is not right. README.md says what the options and the figures mean. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/load.h"

static const char usage[] =
    "usage: load --port N [--mode fanout|echo|idle|churn|rejoin] [--longpoll] [--path /MOUNT]\n"
    "            [--clients N] [--topics N] [--publishers N] [--payload BYTES] [--window N]\n"
    "            [--rate N] [--warmup S] [--duration S] [--drain S] [--server PID] [--core N]\n";

static void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static load_mode mode_of(const char *name)
{
    unsigned mode = 0;
    while (mode < LOAD_MODES && strcmp(name, load_mode_names[mode]) != 0)
        mode++;
    if (mode == LOAD_MODES)
        refuse();
    return mode;
}

static double number_of(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !isfinite(n) || n < 0 || n > 1e9)
        refuse();
    return n;
}

/* False: it is none of these. */
static bool set_number(load_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        unsigned *integer;
        double *real;
    } numbers[] = { { "--clients", &o->clients, NULL },  { "--topics", &o->topics, NULL },
                    { "--window", &o->window, NULL },    { "--publishers", &o->publishers, NULL },
                    { "--payload", &o->payload, NULL },  { "--rate", NULL, &o->rate },
                    { "--warmup", NULL, &o->warmup },    { "--drain", NULL, &o->drain },
                    { "--duration", NULL, &o->duration } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (numbers[i].integer != NULL)
            *numbers[i].integer = (unsigned)number_of(value);
        else
            *numbers[i].real = number_of(value);
        return true;
    }
    return false;
}

static void set_option(load_options *o, const char *name, const char *value)
{
    if (strcmp(name, "--mode") == 0)
        o->mode = mode_of(value);
    else if (strcmp(name, "--port") == 0)
        o->port = (uint16_t)number_of(value);
    else if (strcmp(name, "--path") == 0)
        o->path = value;
    else if (strcmp(name, "--server") == 0)
        o->server = (pid_t)number_of(value);
    else if (strcmp(name, "--core") == 0)
        machine_pin((unsigned)number_of(value));
    else if (!set_number(o, name, value))
        refuse();
}

static load_options read_options(char **argv)
{
    load_options o = LOAD_DEFAULTS;
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (strcmp(*arg, "--longpoll") == 0)
            o.longpoll = true;
        else if (arg[1] == NULL)
            refuse();
        else
            set_option(&o, arg[0], arg[1]), arg++;
    }
    if (o.port == 0 || o.clients == 0 || o.topics == 0 || o.publishers == 0 || o.window == 0 ||
        (o.longpoll && o.mode == LOAD_CHURN))
        refuse();
    return o;
}

int main(int argc, char **argv)
{
    static load_result r;
    (void)argc;
    load_options o = read_options(argv);
    signal(SIGPIPE, SIG_IGN);
    machine_raise_file_limit();
    load_run(&o, &r);
    cJSON *json = load_json(&o, &r);
    char *text = cJSON_PrintUnformatted(json);
    puts(text != NULL ? text : "");
    cJSON_free(text);
    cJSON_Delete(json);
    return load_is_clean(&r) ? 0 : 1;
}
