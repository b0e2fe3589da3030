# The benchmark of servers on the network runs, what it counts is right, and it finds what is wrong.
# Its times are nobody's business here: see README.md.
. test/build/tap.inc

net="$BUILD/test/bench/net"
limit="$BUILD/test/bench/limit"
json="$scratch/figures.json"

# ran MODE: the JSON has a run of it, of all three servers or of ours by long polls.
ran() {
    node -e 'const [file, mode] = process.argv.slice(1)
             const runs = JSON.parse(fs.readFileSync(file)).runs.filter(r => r.mode === mode)
             const servers = new Set(runs.map(r => r.server))
             process.exit(+!(servers.size === 3 && runs.every(r => r.delivered === r.expected)))' \
        "$json" "$1"
}

check "nothing is lost, twice, out of order or altered" "$net" --quick --json "$json"
for mode in fanout echo churn rejoin idle; do
    check "there are runs: $mode" ran $mode
done

# found FAULT WORDS: a server that does so is told by its name, in these words, and is a failure.
found() {
    "$net" --quick --workloads fanout-1k --server "faulty=$limit --fault $1" >"$scratch/out" 2>&1
    status=$?
    cat "$scratch/out"
    [ $status = 1 ] && grep "^WRONG: fanout-1k, faulty: .*$2" "$scratch/out"
}

check "a delivery that is lost is found" found drop "lost 1, twice 0, .* gaps 1,"
check "one that comes twice" found twice "lost 0, twice 1, "
check "two out of order" found swap "out of order 1, gaps 1,"
check "one that is altered" found alter "bad 1,"

# ends_with SIGNAL: what it has started ends with it, here one that it waits for in vain.
ends_with() {
    rm -f "$scratch/pid"
    "$net" --quick --workloads echo-w1 \
        --server "deaf=sh -c 'echo \$\$ >$scratch/pid; exec sleep 60'" &
    bench=$!
    for _ in $(seq 400); do
        [ -s "$scratch/pid" ] && break
        sleep 0.05
    done
    kill -s "$1" $bench
    wait $bench
    for _ in $(seq 100); do
        kill -0 "$(cat "$scratch/pid")" || return 0
        sleep 0.05
    done
    return 1
}

check "a server ends when the benchmark is told to" ends_with TERM
check "and when it is killed" ends_with KILL
plan
