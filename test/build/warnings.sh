# gcc and clang compile everything there is without a warning.
. test/build/tap.inc

for compiler in gcc clang; do
    if ! command -v $compiler >/dev/null; then
        skip "$compiler" "needs $compiler"
        continue
    fi
    check "$compiler" $MAKE -j2 BUILD="$scratch/$compiler" CC=$compiler CFLAGS='-O2 -Werror' all
done
plan
