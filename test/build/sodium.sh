# The library builds, passes its tests and says what it lacks without libsodium.
. test/build/tap.inc

without="BUILD=$scratch/without SODIUM=no"
tests="$scratch/without/test/unit/test_token $scratch/without/test/unit/test_token_vectors"
root=$scratch/root

needs_sodium() { objdump -p "$1/libchannels.so" | grep -q 'NEEDED.*libsodium'; }
needs_none() { ! needs_sodium "$1"; }
run_all() { for program; do "$program" || return; done; }
pc_names_none() { ! grep sodium "$root/lib/pkgconfig/libchannels.pc"; }

if needs_sodium "$BUILD"; then
    check "the tests have been run with libsodium" true
else
    skip "the tests have been run with libsodium" "built without"
fi
check "builds without" $MAKE -j2 $without CC="$CC" lib $tests
check "is not linked to it then" needs_none "$scratch/without"
check "passes the tests of tokens" run_all $tests
check "installs" $MAKE $without PREFIX= DESTDIR="$root" install
check "and its .pc file does not name it" pc_names_none
plan
