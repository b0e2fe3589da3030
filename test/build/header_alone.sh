# Each public header compiles alone, and twice, in C and C++ and without a warning.
. test/build/tap.inc

# The core needs the language alone; adapters talk to POSIX.
standard() {
    case $1 in
    channels/adapters/*) echo "$2 -D_POSIX_C_SOURCE=200809L" ;;
    *) echo "$2" ;;
    esac
}

compiles() {
    printf '#include <%s>\n#include <%s>\ntypedef int unit;\n' "$1" "$1" >"$scratch/header.c"
    shift
    "$@" -pedantic -Wall -Wextra -Werror -fsyntax-only -Iinclude $cjson "$scratch/header.c"
}

for header in $(cd include && find channels -name '*.h' | sort); do
    check "$header is C11" compiles "$header" $CC -x c $(standard "$header" -std=c11)
    check "$header is C++17" compiles "$header" $CXX -x c++ $(standard "$header" -std=c++17)
done
plan
