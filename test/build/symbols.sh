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
# libchannels-redis is one more user of the former.
if [ -e "$BUILD/libchannels-redis.so" ]; then
    redis=$BUILD/libchannels-redis.so
    exported -D "$redis" >"$scratch/redis"
    exported -g "$BUILD/libchannels-redis.a" >"$scratch/redis_static"
    grep -v '^channels_redis_[a-z]' "$scratch/redis" >"$scratch/redis_foreign"
    check "libchannels-redis exports only channels_redis_*" empty "$scratch/redis_foreign"
    check "statically the same" same "$scratch/redis" "$scratch/redis_static"
    check "its soname has the ABI number alone" \
        sh -c "objdump -p '$redis' | grep -qE 'SONAME +libchannels-redis.so.0\$'"
    check "it is linked to libchannels" \
        sh -c "objdump -p '$redis' | grep -qE 'NEEDED +libchannels.so.0\$'"
    check "libchannels is not linked to hiredis" prints_none 'NEEDED.*hiredis' objdump -p "$shared"
else
    skip "libchannels-redis" "needs hiredis"
fi

check "no event loop is linked" prints_none 'NEEDED.*(libev|libuv)' objdump -p "$shared"
check "lib/ has no variables" \
    prints_none '( O \.(data|bss)|\*COM\*| \.t(data|bss))	' objdump -t $objects
check "lib/ does not print, exit or raise" \
    prints_none ' U (stdout|stderr|printf|puts|putchar|perror|exit|_exit|abort|raise|signal)$' \
    nm $objects
plan
