# The C program in README.md is short, and compiles as it stands there.
. test/build/tap.inc

awk '/^```c$/ { on = 1; next } /^```/ { if (on) exit } on' README.md >"$scratch/readme.c"

check "README.md has a C program" grep -q '^int main(' "$scratch/readme.c"
check "of no more than 60 lines" test "$(wc -l <"$scratch/readme.c")" -le 60
check "that compiles and links" $CC -Wall -Wextra -Werror -Iinclude $cjson \
    "$scratch/readme.c" -o "$scratch/readme" "-L$BUILD" -Wl,--as-needed -lchannels -lcjson -lev
plan
