# The C program in README.md is short, and compiles as it stands there; its test passes.
. test/build/tap.inc

# block LINE: the piece of C that begins so.
block() {
    awk -v line="$1" '/^```/ { on = 0 } begins && index($0, line) == 1 { on = 1 } on
                      { begins = /^```c$/ }' README.md
}
block '#include <stdio.h>' >"$scratch/chat.c"
block '#define main' >"$scratch/chat_test.c"

# builds NAME: as its reader would.
builds() {
    $CC -Wall -Wextra -Werror -Iinclude $cjson "$scratch/$1.c" -o "$scratch/$1" "-L$BUILD" \
        -Wl,--as-needed -lchannels -lcjson -lev
}

check "README.md has a C program" grep -q '^int main(' "$scratch/chat.c"
check "of no more than 60 lines" test "$(wc -l <"$scratch/chat.c")" -le 60
check "that compiles and links" builds chat
check "and a test of it that does" builds chat_test
check "and passes" env LD_LIBRARY_PATH="$BUILD" "$scratch/chat_test"
plan
