#!/bin/sh
# Runs the broker for a parent that may die at any instant, by kill -9 too.
#   supervise.sh LOG CONTAINER COMMAND...    stdin: a pipe whose other end only the parent holds; stdout: the broker's pid
# The guard reads the pipe: it gets EOF when the parent is gone, whatever ended it, and then ends the broker.
# The pipe exists before the broker does, so there is no instant at which a broker could be left behind.
log=$1 container=$2
shift 2
exec 3<&0
"$@" >>"$log" 2>&1 </dev/null 3<&- &
broker=$!
(
  exec >/dev/null 2>&1
  while read -r _ <&3; do :; done
  kill "$broker"
  tenths=0
  while kill -0 "$broker" && [ "$tenths" -lt 50 ]; do
    sleep 0.1
    tenths=$((tenths + 1))
  done
  kill -9 "$broker"
  [ -z "$container" ] || docker rm -f "$container"
) &
guard=$!
echo "$broker"
exec >&-
wait "$broker"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
