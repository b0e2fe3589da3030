#!/bin/sh
# cluster.sh CHAT FOLDER [PORT_A PORT_B PORT_REDIS]: the chat on two servers, nodes a and b, and the
# Redis that joins them, all on 127.0.0.1, until Ctrl-C. Histories and logs go to FOLDER; Redis
# stores nothing. When one of the three dies the others go on, and it is told how to start it again:
# what happens then is worth a look.
set -u

chat=$1
folder=$2
port_a=${3:-4000}
port_b=${4:-4001}
port_redis=${5:-4379}
running= # a line "PID COMMAND" for each

# Ends what is still running, be it suspended.
end() {
    trap '' INT TERM HUP
    for pid in $(echo "$running" | cut -d ' ' -f 1); do
        kill "$pid" && kill -CONT "$pid"
    done 2>/dev/null
    wait
    exit "$1"
}

fail() {
    echo "cluster: $1" >&2
    end 1
}

# False for a process of ours that has ended: this shell has taken its status by then.
is_alive() { kill -0 "$1" 2>/dev/null; }

# start LOG READY COMMAND...: in the background, until it has said READY. $pid is its number.
start() {
    log=$1
    ready=$2
    shift 2
    rm -f "$log"
    "$@" >"$log" &
    pid=$!
    running="$running$pid $*
"
    for try in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.2
        is_alive "$pid" || break
        grep -qs "$ready" "$log" && return
        sleep "0.$try"
    done
    grep -s 'Warning' "$log" >&2 # Redis' reason
    fail "this does not start: $*"
}

start_node() {
    start "$folder/$1.log" '^chat on' "$chat" --port "$2" --node "$1" \
        --redis "127.0.0.1:$port_redis" --db "$folder/$1.db"
    intro="$intro
    http://127.0.0.1:$2   node $1, process $pid"
}

tell_who_ended() {
    still=
    while read -r pid command; do
        if is_alive "$pid"; then
            still="$still$pid $command
"
        elif [ -n "$pid" ]; then
            echo "This has ended; to start it again: $command"
        fi
    done <<END
$running
END
    running=$still
}

command -v redis-server >/dev/null || fail 'there is no redis-server (on Debian: redis-server)'
mkdir -p "$folder" || exit
printf '%s\n' 'bind 127.0.0.1' "port $port_redis" 'save ""' 'appendonly no' >"$folder/redis.conf"
trap 'end 0' INT TERM HUP

# A page may go on at another server if that signs with the same secret.
SECRET_KEY_BASE=${SECRET_KEY_BASE:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
export SECRET_KEY_BASE

intro='One chat on two servers. Open both, each in a window of its own:
'
start "$folder/redis.log" 'Ready to accept connections' redis-server "$folder/redis.conf"
start_node a "$port_a"
start_node b "$port_b"
echo "$intro

Ctrl-C ends both, and their Redis on port $port_redis."

while [ -n "$running" ]; do
    sleep 1
    tell_who_ended
done
fail 'nothing is left'
