# lib/ is a house of floors: a file includes only headers of its own floor or of one below.
. test/build/tap.inc

floors="base wire core presence transport cluster"

# Every include of our own in floor $1 that is neither public nor of a floor listed after it.
strays() {
    grep -nHE '^ *# *include +"' "lib/$1"/*.[ch] | while IFS= read -r line; do
        header=$(printf '%s\n' "$line" | sed 's/.*include *"\([^"]*\)".*/\1/')
        case $header in
        channels/*) continue ;;
        esac
        for below in $2; do
            [ "${header%/*}" != "$below" ] || continue 2
        done
        printf '%s\n' "$line"
    done
}

includes_only() {
    strays "$1" "$2" >"$scratch/strays"
    empty "$scratch/strays"
}

at_or_below=
for floor in $floors; do
    at_or_below="$at_or_below $floor"
    [ ! -d "lib/$floor" ] || check "lib/$floor includes only$at_or_below" \
        includes_only "$floor" "$at_or_below"
done

check "lib/redis, a library of its own, includes only public headers and its own" \
    includes_only redis redis

ls lib >"$scratch/folders"
for floor in $floors redis; do
    sed -i "/^$floor\$/d" "$scratch/folders"
done
check "each folder of lib/ is a floor" empty "$scratch/folders"
plan
