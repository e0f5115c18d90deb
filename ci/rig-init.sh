#!/bin/sh
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# First process of a rig. Brings the file systems and the channel up, lets the backend's part (/rig/backend.sh) start its
# hypervisor, then serves the host's commands (ci/rig-protocol.sh) on the second serial port, so that one boot runs many
# guests. The first serial port carries the kernel's and hypervisor's own messages only.
#
# The channel is for what a serial port cannot carry: /share is a folder of the host's (virtio-9p), files both ways;
# the network card leads streams from the host to any TCP port here, and nothing out (QEMU's user network, `restrict`).

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run /tmp /var /share
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /run
ln -sfn /run /var/run

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1

# shellcheck disable=SC2034 # used by the protocol
share=/share state=/run
# shellcheck source=/dev/null
. /rig/protocol.sh

# load_modules FOLDER: in the order of their numbered names; FILE.args holds a module's parameters.
load_modules() {
    for module in "$1"/*.ko; do
        # shellcheck disable=SC2046 # one word per parameter
        insmod "$module" $(cat "$module.args" 2>/dev/null) || tell error "insmod $module failed"
    done
}

load_modules /rig/channel
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /share || tell error "the channel's folder cannot be mounted"
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 || tell error "the channel has no network card"
ip link set eth0 up

# shellcheck source=/dev/null
. /rig/backend.sh
start 2>&1 | frame start
tell ready "$(cut -d' ' -f1 /proc/uptime)"
serve
