# What the libraries show of themselves, and what lib/ keeps its hands off.
. test/build/tap.inc

shared=$BUILD/libchannels.so
static=$BUILD/libchannels.a
objects=$(find "$BUILD/obj/release/lib" -name '*.o')
version=$(cd "$BUILD" && ls libchannels.so.*.*.*)

exported -D "$shared" >"$scratch/shared"
exported -g "$static" >"$scratch/static"
grep -vE '^channels_[a-z0-9]' "$scratch/shared" >"$scratch/foreign"
grep __ "$scratch/shared" >>"$scratch/foreign"

# prints_none PATTERN COMMAND...: true when no line of the command's output matches.
prints_none() {
    pattern=$1
    shift
    "$@" >"$scratch/lines" && ! grep -E "$pattern" "$scratch/lines"
}

soname_is() { objdump -p "$shared" | tee "$scratch/lines" | grep -qE "SONAME +$1\$"; }

links_to() { [ "$(readlink "$BUILD/$1")" = "$2" ]; }

check "the shared library exports something" test -s "$scratch/shared"
check "it exports only channels_*" empty "$scratch/foreign"
check "the static library exports the same" same "$scratch/shared" "$scratch/static"
check "the soname has the ABI number alone" soname_is libchannels.so.0
check "libchannels.so.0 links to $version" links_to libchannels.so.0 "$version"
check "libchannels.so links to $version" links_to libchannels.so "$version"
check "no event loop is linked" prints_none 'NEEDED.*(libev|libuv)' objdump -p "$shared"
check "lib/ has no variables" \
    prints_none '( O \.(data|bss)|\*COM\*| \.t(data|bss))	' objdump -t $objects
check "lib/ does not print, exit or raise" \
    prints_none ' U (stdout|stderr|printf|puts|putchar|perror|exit|_exit|abort|raise|signal)$' \
    nm $objects
plan
