# A plain `make` asks for nothing but what `make deps` installs: for no package of the tests alone.
. test/build/tap.inc

names_none() { ! grep -nE "$1" "$scratch/plan"; }

check "make -n" sh -c "$MAKE -n BUILD='$scratch/none' all >'$scratch/plan'"
check "builds the libraries and examples" grep -q examples/chat "$scratch/plan"
check "no test programs" names_none 'test/(unit|sim|fuzz|soak)/'
check "and links nothing of theirs" names_none '-l(cmocka|uv) .*test/'
plan
