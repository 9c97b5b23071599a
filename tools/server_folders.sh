#!/bin/sh
# Prints the folder for the data of the servers that the tests start: a file system in memory with
# 8 GiB free, if there is one, so that a stall of the disk fails no test. Tests end processes only,
# so what a server has written survives as on a disk.
free=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [ "${free:-0}" -gt 8388608 ]; then
  echo /dev/shm
else
  echo "${TMPDIR:-/tmp}"
fi
