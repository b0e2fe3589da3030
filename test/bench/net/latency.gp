# latency.gp FOLDER: FOLDER/latency-rate.dat and latency-full.dat become FOLDER/latency.svg. Both
# halves have one scale.
folder = ARG1
set terminal svg size 980,480 font 'sans-serif,14' background rgb 'white'
set output folder.'/latency.svg'
load system("dirname '".ARG0."'").'/style.gp'
rate = folder.'/latency-rate.dat'
full = folder.'/latency-full.dat'

extreme(how) = real(system(sprintf("awk 'NF == 2 && (!n++ || $2 %s m) { m = $2 } END { print m }' '%s' '%s'", how, rate, full)))
set logscale y
set ytics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
set yrange [extreme('<') / 1.3:extreme('>') * 1.3]
set xtics ('50%%' 0.30103, '90%%' 1, '99%%' 2, '99.9%%' 3, '99.99%%' 4)
set xrange [0.3:4]
set xlabel 'of the deliveries took no longer than …'
set rmargin 15
set tmargin 7.5
set label 1 heading('How long a message takes from its publisher to each of 1 000 clients', \
    'all 1 000 deliveries of each message count: the last of them waits for all others; lower is better') \
    at screen 0.02,0.95
set multiplot layout 1,2
set title '50 messages a second'
set ylabel 'ms'
n = curves(rate)
plot for [i=0:n-1] rate index i using 1:2 with lines lt i + 1, \
     rate index n using 1:2:3:(colour[int($4) + 1]) with labels noenhanced left offset 1,0 textcolor rgb variable
unset label 1
set title 'as many as the server manages, 4 in flight'
unset ylabel
n = curves(full)
plot for [i=0:n-1] full index i using 1:2 with lines lt i + 1, \
     full index n using 1:2:3:(colour[int($4) + 1]) with labels noenhanced left offset 1,0 textcolor rgb variable
unset multiplot
