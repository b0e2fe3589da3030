# plots.gp FOLDER: delivery.svg and memory.svg of what the benchmark of the core wrote there. Each
# cell has three columns: its value, the least and the greatest.
folder = ARG1
set terminal svg size 820,460 font 'sans-serif,14' background rgb 'white'
load system("dirname '".ARG0."'").'/../net/style.gp'
file(name) = folder.'/'.name.'.dat'

set logscale x
set format x '%.0s %c'
set xlabel 'clients'
set rmargin 32
title(text, more) = sprintf("{/*1.15:Bold %s}\n{/*0.9 %s}", text, more)
# What a curve is stands at its end.
end(name, column) = real(system(sprintf("tail -n 1 '%s' | cut -d ' ' -f %d", file(name), column)))

# delivery.dat: clients, a delivery, a bare walk.
set output folder.'/delivery.svg'
set label 1 title('What a delivery costs, by how many hear the message', \
    'CPU time in the library, clients in memory, without sockets; lower is better') \
    at screen 0.02,0.95
set ylabel 'ns'
set logscale y
set xrange [1:*] noextend
set yrange [1:1000]
set label 2 'clients anywhere in memory' at graph 1, first end('delivery_shuffled', 4) \
    offset 1.5,0 textcolor lt 3
set label 3 'clients in their order in memory' at graph 1, first end('delivery', 4) \
    offset 1.5,0 textcolor lt 2
set label 4 'a bare walk over them, anywhere' at graph 1, first end('delivery_shuffled', 7) \
    offset 1.5,(end('delivery_shuffled', 7) < end('delivery_shuffled', 4) ? -0.7 : 0.7) \
    textcolor lt 1
plot file('delivery_shuffled') using 1:7 with linespoints lt 1, \
     file('delivery_shuffled') using 1:4:5:6 with yerrorlines lt 3, \
     file('delivery') using 1:4:5:6 with yerrorlines lt 2

# memory.dat: clients, socket, channel, place, their sum, resident; more for a topic of its own,
# resident with it; more for a presence, resident with it.
set output folder.'/memory.svg'
set label 1 title('Memory of a joined client, without what carries it', \
    'bytes per client; resident: growth of the process; lower is better')
set ylabel 'bytes'
unset logscale y
set xrange [1000:*] noextend
set yrange [0:*]
set label 2 'resident, with a presence each' at graph 1, first end('memory', 28) \
    offset 1.5,0 textcolor lt 3
set label 3 'resident, with a topic each' at graph 1, first end('memory', 22) \
    offset 1.5,0.5 textcolor lt 4
set label 4 'resident' at graph 1, first end('memory', 16) offset 1.5,0.2 textcolor lt 2
set label 5 'what the library asked for' at graph 1, first end('memory', 13) offset 1.5,-0.6 \
    textcolor lt 1
plot file('memory') using 1:28 with linespoints lt 3, \
     file('memory') using 1:22 with linespoints lt 4, \
     file('memory') using 1:16 with linespoints lt 2, \
     file('memory') using 1:13 with linespoints lt 1
