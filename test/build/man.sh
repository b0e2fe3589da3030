# Header, library and manual speak of the same things.
. test/build/tap.inc

pages=$(ls man/*.3 man/*.7 2>/dev/null)
headers=$(cd include && find channels -name '*.h' | sort)

names_in() { grep -ohE '\b(channels|CHANNELS)_[A-Za-z0-9_]*[A-Za-z0-9]\b' "$@" /dev/null; }

# As they are written in text, and in a page's title.
page_names() {
    for page in $pages; do
        basename "${page%.*}"
        basename "${page%.*}" | tr a-z A-Z
    done
}

synopsis_functions() {
    awk '/^\.Sh/ { synopsis = $2 == "SYNOPSIS" }
         synopsis && /^\.F[no] / { print $2 }' $pages /dev/null
}

# Every line of the first is one of the second too. Both are sorted.
within() { comm -23 "$1" "$2" >"$scratch/rest" && empty "$scratch/rest"; }

has_page() { grep -lE "^\.In +$1\$" $pages /dev/null; }

public_functions >"$scratch/public"
for library in "$BUILD"/libchannels*.so; do exported -D "$library"; done | sort >"$scratch/exported"
synopsis_functions | sort -u >"$scratch/documented"
names_in $pages | sort -u >"$scratch/mentioned"
{ find include -name '*.h' -exec cat {} + | names_in -; page_names; } | sort -u >"$scratch/known"

check "there are pages" test -n "$pages"
check "every exported name is a function of a header" within "$scratch/exported" "$scratch/public"
check "every function of a header has a SYNOPSIS" within "$scratch/public" "$scratch/documented"
check "every name in the pages is in a header" within "$scratch/mentioned" "$scratch/known"
for header in $headers; do
    check "a page is about $header" has_page "$header"
done
for page in $pages; do
    check "$page is clean" mandoc -T lint -W warning "$page"
done
plan
