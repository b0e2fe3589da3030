# What `make install` puts under a DESTDIR is enough to build the examples with pkg-config,
# and `make uninstall` takes it away. EXAMPLES_NEED is what the examples need of other packages.
. test/build/tap.inc

root=$scratch/root
prefix=$root/opt/channels
everything="PREFIX=/opt/channels DESTDIR=$root"

cat >"$scratch/first.c" <<'C'
#include <channels/channels.h>

int main(void)
{
    channels_endpoint_free(NULL);
    return channels_strerror(CHANNELS_OK) == NULL;
}
C

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
pc() { pkg-config --define-prefix "$@" libchannels; }

# build_all NAME OPTION...: every example and the program above, below $scratch/NAME.
build_all() {
    out=$scratch/$1
    shift
    mkdir -p "$out"
    cflags=$(pc --cflags) && libs=$(pc "$@" --libs) || return
    theirs=$(pkg-config --cflags --libs libcjson $EXAMPLES_NEED) || return
    for source in "$scratch/first.c" examples/*.c examples/*/; do
        case $source in
        */) set -- "$source"*.c ;;
        *) set -- "$source" ;;
        esac
        [ -e "$1" ] || continue
        $CC $cflags "$@" -o "$out/$(basename "$source" .c)" \
            -Wl,--as-needed $libs $theirs -lev -pthread || return
    done
}

# The same for one that uses libchannels-redis, if there is hiredis.
cat >"$scratch/redis.c" <<'C'
#include <channels/redis.h>

int main(void)
{
    channels_redis *redis;
    if (channels_redis_new(&redis, NULL) != CHANNELS_OK)
        return 1;
    channels_redis_free(redis);
    return 0;
}
C

build_redis() {
    out=$1
    shift
    libs=$(pkg-config --define-prefix "$@" --cflags --libs libchannels-redis) || return
    $CC "$scratch/redis.c" -o "$scratch/$out" $libs -pthread
}

run_here() { LD_LIBRARY_PATH="$prefix/lib:${LD_LIBRARY_PATH:-}" "$@"; }

needs_shared() { objdump -p "$1" | grep NEEDED | grep -q 'libchannels\.so\.0$'; }
needs_none() { ! objdump -p "$1" | grep NEEDED | grep -q libchannels; }

version_agrees() {
    header=$(printf '#include <channels/version.h>\nCHANNELS_VERSION_STRING\n' |
        $CC $(pc --cflags) -E -P - | tr -d '" ')
    [ "$header" = "$(pc --modversion)" ] && [ -e "$prefix/lib/libchannels.so.$header" ]
}

headers_are_all() {
    (cd include && find . -type f | sort) >"$scratch/source"
    (cd "$prefix/include" && find . -type f | sort) >"$scratch/installed"
    same "$scratch/source" "$scratch/installed"
}

left() { find "$root" ! -type d; find "$root" -path '*/include/channels*'; }
nothing_left() { left >"$scratch/left" && empty "$scratch/left"; }

check "install" $MAKE install $everything
check "every header is there" headers_are_all
check "header, .pc and library are of one version" version_agrees
check "the .pc file knows nothing of DESTDIR" \
    sh -c "! grep -r '$root' '$prefix/lib/pkgconfig'"
check "examples build with the shared library" build_all shared
check "and are linked to it" needs_shared "$scratch/shared/first"
check "and run" env LD_LIBRARY_PATH="$prefix/lib:${LD_LIBRARY_PATH:-}" "$scratch/shared/first"

if pkg-config --exists hiredis; then
    check "a program builds with the shared libchannels-redis" build_redis redis_shared
    check "and runs" run_here "$scratch/redis_shared"
else
    skip "libchannels-redis" "needs hiredis"
fi

check "uninstall" $MAKE uninstall $everything
check "nothing is left" nothing_left

check "install once more" $MAKE install $everything
rm -f "$prefix"/lib/libchannels*.so*
check "examples build with the static library" build_all static --static
check "and are linked to nothing of ours" needs_none "$scratch/static/first"
check "and run" "$scratch/static/first"
if pkg-config --exists hiredis; then
    check "a program builds with the static libchannels-redis" build_redis redis_static --static
    check "and is linked to nothing of ours" needs_none "$scratch/redis_static"
    check "and runs" "$scratch/redis_static"
fi
plan
