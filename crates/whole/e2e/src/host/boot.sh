# How a host starts, in steps that run this text again, each one namespace further in: join, cut, root.
# FOLDER is the host's on this machine, CGROUP its cgroup, HIERARCHIES rows of type:folder:options.
set -eu
step=$1
name=$2
case $step in
join)
    # A cgroup namespace begins where its first process is.
    for row in $HIERARCHIES; do
        rest=${row#*:}
        echo 0 > "/sys/fs/cgroup/${rest%%:*}/$CGROUP/cgroup.procs"
    done
    exec unshare --cgroup sh "$FOLDER/boot.sh" cut "$name"
    ;;
cut)
    # With version 2, a cgroup with processes cannot give controllers to those below it.
    for row in $HIERARCHIES; do
        rest=${row#*:}
        leaf="/sys/fs/cgroup/${rest%%:*}/$CGROUP/init/cgroup.procs"
        if [ "${row%%:*}" = cgroup2 ]; then echo 0 > "$leaf"; fi
    done
    exec unshare --net --mount --uts --ipc --pid --fork --kill-child sh "$FOLDER/boot.sh" root "$name"
    ;;
esac

root=$FOLDER/root
disk=$FOLDER/disk
# A file with holes is as large as what is written to it. A name of its own until it is whole: the start may be cut off.
if [ ! -e "$disk.ext4" ]; then
    truncate -s 16G "$disk.new"
    mkfs.ext4 -q -F -i 65536 -J size=16 "$disk.new"
    mv "$disk.new" "$disk.ext4"
fi
mount -o loop,noinit_itable "$disk.ext4" "$disk"
mount -t overlay -o "lowerdir=/,upperdir=$FOLDER/upper,workdir=$FOLDER/work" overlay "$root"
for own in $OWN_FOLDERS; do
    mkdir -p "$disk/$own"
    mount --bind "$disk/$own" "$root/$own"
done
chmod 1777 "$root/tmp" "$root/var/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
made=
for row in $HIERARCHIES; do
    type=${row%%:*}
    rest=${row#*:}
    folder=${rest%%:*}
    options=${rest#*:}
    # The folder is empty where version 2 has no other beside it.
    if [ -n "$folder" ] && [ -z "$made" ]; then
        mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
        made=yes
    fi
    mkdir -p "$root/sys/fs/cgroup/$folder"
    mount -t "$type" ${options:+-o "$options"} "$type" "$root/sys/fs/cgroup/$folder"
    case $options in
    *=*) ;;
    *,*) for one in $(echo "$options" | tr , ' '); do ln -s "$folder" "$root/sys/fs/cgroup/$one"; done ;;
    esac
done
mkdir -p "$root/run/old"
cd "$root"
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old
mount --make-rshared /
hostname "$name"
exec 3<&0 4>&1 >/dev/null 2>&1
# Waiting buries every orphan; the end of the pipe is the end of the host. Who waits for it repeats the first line: a host
# that answers has all processes it begins with, under their names.
cat <&3 >&4 &
wait $!
