# The benchmark of several nodes runs, and what it counts is right. Its times are nobody's business
# here: see README.md.
. test/build/tap.inc

json="$scratch/figures.json"

# has NAME: the JSON holds figures of that name.
has() { node -e 'process.exit(+!JSON.parse(fs.readFileSync(process.argv[1]))[process.argv[2]][0])' \
            "$json" "$1"; }

check "nothing is lost, twice or out of order; a change of presence is as large as with fewer" \
    "$BUILD/test/bench/cluster" --quick --json "$json"
for part in delivery visible bus; do
    check "there are figures: $part" has "$part"
done
plan
