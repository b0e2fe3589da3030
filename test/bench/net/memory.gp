# memory.gp FOLDER: FOLDER/memory.dat becomes FOLDER/memory.svg.
folder = ARG1
set terminal svg size 820,460 font 'sans-serif,14' background rgb 'white'
set output folder.'/memory.svg'
load system("dirname '".ARG0."'").'/style.gp'
file = folder.'/memory.dat'

set label 1 heading('Memory of a server whose clients are idle, each joined to a topic', \
    'resident memory of the process, without what the kernel keeps for sockets; lower is better') \
    at screen 0.02,0.95
set xlabel 'clients'
set ylabel 'MB'
set format x '%.0f'
set xrange [0:1.01 * greatest_x(file)]
set xtics 5000 * (1 + int(greatest_x(file) / 40000))
set yrange [0:*]
set rmargin 30
n = curves(file)
plot for [i=0:n-1] file index i using 1:2 with linespoints lt i + 1, \
     file index n using 1:2:3:(colour[int($4) + 1]) with labels noenhanced left offset 1.5,0 textcolor rgb variable
