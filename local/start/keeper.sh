#!/bin/sh
# Ends the processes of a parent that may die at any instant, by kill -9 too.
# stdin: a pipe whose other end only the parent holds; lines "+ PID" and "- PID" name the processes it has now.
# At the end of the pipe the parent is gone: what is left is asked to stop, and killed when it does not.
pids=' '
while read -r sign pid; do
  case $sign in
    +) pids="$pids$pid " ;;
    -) pids=$(printf %s "$pids" | sed "s/ $pid / /") ;;
  esac
done
exec >/dev/null 2>&1
for pid in $pids; do kill "$pid"; done
tenths=0
while [ "$tenths" -lt 100 ]; do
  alive=
  for pid in $pids; do kill -0 "$pid" && alive=yes; done
  [ -z "$alive" ] && exit
  sleep 0.1
  tenths=$((tenths + 1))
done
for pid in $pids; do kill -9 "$pid"; done
