# clients.gp FOLDER: FOLDER/clients.dat becomes FOLDER/clients.svg.
folder = ARG1
set terminal svg size 820,460 font 'sans-serif,14' background rgb 'white'
set output folder.'/clients.svg'
load system("dirname '".ARG0."'").'/style.gp'
file = folder.'/clients.dat'

set label 1 heading('What a broadcast costs for each client that hears it', \
    'CPU time of the server, kernel included, on loopback; 64-byte messages, 4 in flight; lower is better') \
    at screen 0.02,0.95
set xlabel 'clients in the topic'
set ylabel 'µs of CPU for each delivery'
set logscale x
set xtics ('10' 10, '100' 100, '1 000' 1000, '10 000' 10000, '100 000' 100000)
set xrange [9:1.05 * greatest_x(file)]
set yrange [0:*]
set rmargin 18
n = curves(file)
plot for [i=0:n-1] file index i using 1:2 with linespoints lt i + 1, \
     file index n using 1:2:3:(colour[int($4) + 1]) with labels noenhanced left offset 1.5,0 textcolor rgb variable
