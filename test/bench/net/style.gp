# style.gp - what the pictures have in common. They stand on white, for pages that are dark; the
# colours differ for the colour-blind too (Okabe and Ito), and so do marks and dashes.
set encoding utf8
set border 3 lc rgb '#444444'
set tics nomirror
set grid ytics lc rgb '#dddddd' lt 1 lw 1
set tmargin 5.5
unset key
array colour[8] = [0x555555, 0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x000000]
array mark[8] = [4, 8, 7, 5, 9, 13, 11, 6]
do for [i=1:8] { set linetype i lc rgb colour[i] pt mark[i] lw (i == 3 ? 3 : 2) ps 0.8 }
set linetype 1 dt 2
set linetype 2 dt 4

heading(text, more) = sprintf("{/*1.15:Bold %s}\n{/*0.9 %s}\n{/*0.9 %s}", text, more, \
    'limit: a bare epoll server that does nothing but the system calls; --batch: one for all that a client gets in a turn')

# The servers whose curves are in a file: all blocks but the last, which has their names and where
# these stand.
curves(file) = int(system(sprintf("awk 'BEGIN { RS = \"\\n\\n\\n\" } END { print NR - 1 }' '%s'", file)))

greatest_x(file) = real(system(sprintf("awk '$1 > m { m = $1 } END { print m }' '%s'", file)))
