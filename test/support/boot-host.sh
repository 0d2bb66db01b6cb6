#!/bin/sh
# What booted-host.ts starts in namespaces of its own: makes the host's root and becomes its systemd.
#   boot-host.sh ROOM [FOLDER_OUTSIDE FOLDER_INSIDE]...
# The root is this machine's, read only, below a layer in memory that takes all changes and is forgotten with the host.
set -e
room=$1
shift

mount --make-rprivate /
mount -t tmpfs tmpfs "$room"
mkdir "$room/upper" "$room/work" "$room/root"
mount -t overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" overlay "$room/root"
cd "$room/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
while [ $# -ge 2 ]; do
  mkdir -p ".$2"
  mount --bind "$1" ".$2"
  shift 2
done

# Of this machine's own services none is wanted, but for the journal.
rm -rf lib/systemd/system/*.wants usr/lib/systemd/system/*.wants etc/systemd/system/*.wants
mkdir -p run/lock run/systemd/system run/systemd/system/millrace-host.target.wants
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' > run/systemd/system/millrace-host.target

mkdir -p old-root
pivot_root . old-root
umount -l old-root
export container=millrace-test
exec /lib/systemd/systemd --system --unit=millrace-host.target --log-target=console
