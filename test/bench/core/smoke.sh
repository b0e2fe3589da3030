# The benchmark of the core runs, and what it counts is right. Its times are nobody's business here.
. test/build/tap.inc

json="$scratch/figures.json"
core="$BUILD/test/bench/core"

# has NAME: the JSON holds figures of that name.
has() { node -e 'process.exit(+!JSON.parse(fs.readFileSync(process.argv[1]))[process.argv[2]][0])' \
            "$json" "$1"; }

check "each client hears each message once and in order; nothing is allocated for a client" \
    "$core" --quick --json "$json" --markdown "$scratch/figures.md" --data "$scratch"
for part in memory joins delivery delivery_shuffled delivery_topics subscribe presence \
            presence_room copies; do
    check "there are figures: $part" has "$part"
    check "there is data for plots: $part" test -s "$scratch/$part.dat"
done
check "there is Markdown" grep -q '^| clients' "$scratch/figures.md"
check "another part is refused" sh -c '! "$1" nothing 2>/dev/null' sh "$core"
plan
