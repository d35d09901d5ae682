#!/bin/busybox sh
# The emulated board's first process: mounts, network, adbd, sshd. Nothing else runs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox mkdir -p /proc /sys /dev /run/sshd /tmp /root /var/log /var/empty
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /dev/pts /dev/shm
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox mount -t tmpfs shm /dev/shm
/bin/busybox chmod 1777 /tmp
for module in /modules/*.ko; do
    /bin/busybox insmod "$module"
done
/bin/busybox hostname board
/bin/busybox ip link set lo up
/bin/busybox ip link set eth0 up
/bin/busybox ip addr add 10.0.2.15/24 dev eth0
if [ -x /opt/adbd/run ]; then
    /opt/adbd/run >/var/log/adbd 2>&1 </dev/null &
fi
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
