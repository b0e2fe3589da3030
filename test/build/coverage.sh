# test/conformance/COVERAGE.md names tests: they are there.
. test/build/tap.inc

# "FILE: TEST" or "FILE", from between backticks; transcripts/NAME is a recording.
names_of() {
    grep -oE '`([a-z0-9_/-]+\.(test\.js|c|json)(: [^`]+)?|transcripts/[a-z0-9_]+)`' "$1" |
        tr -d '`' | sort -u
}

is_there() {
    file=test/${1%%: *}
    case $1 in
    transcripts/*) [ -e "test/conformance/$1.json" ] ;;
    *": "*) grep -qF -- "${1#*: }" "$file" ;;
    *) [ -e "$file" ] ;;
    esac
}

names_of test/conformance/COVERAGE.md | while read -r name; do
    is_there "$name" || echo "$name"
done >"$scratch/absent"

check "every test that COVERAGE.md names is there" empty "$scratch/absent"
check "it names many" [ "$(names_of test/conformance/COVERAGE.md | wc -l)" -gt 100 ]
plan
