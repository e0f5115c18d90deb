#!/bin/sh
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# First process of a rig. Brings the file systems up, lets the backend's part (/rig/backend.sh) start
# its hypervisor, then serves commands from the host on the second serial port, so that one boot runs
# many guests:
#
#     set KEY VALUE       an option of the next guest; the backend's part reads it as $opt_KEY
#     run KERNEL          run /guests/KERNEL with these options; the options are forgotten afterwards
#     end                 power off
#     (an empty line)     nothing
#
# Everything said goes to the same port as lines `@TAG TEXT`: `@console` is the guest's own output,
# `@done` ends a run, `@ready` says that the rig has come up. Other tags are the backend's.
# The first serial port carries the kernel's (and hypervisor's) own messages only.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run /tmp /var
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /run
ln -sfn /run /var/run

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1

# say TAG TEXT
say() {
    printf '@%s %s\n' "$1" "$2" >&3
}

# frame TAG <lines: awk, because it ends a last line that has no newline.
frame() {
    awk -v tag="@$1 " '{ print tag $0; fflush() }' >&3
}

# console <output of a guest, to its end, without carriage returns. Lines `# data …` are too many for the port:
# they stay here, and their SHA-256 follows as `@digest`. A line `# input ready` makes the file /run/ready: the
# guest waits for what is to be typed.
console() {
    awk '{ gsub(/\r/, "") }
        /^# data / { print >"/run/data"; next }
        { print "@console " $0; fflush() }
        /^# input ready/ { print >"/run/ready"; close("/run/ready") }' >&3
    [ ! -f /run/data ] || say digest "$(sha256sum </run/data | cut -d' ' -f1)"
}

# load_modules: in the order of their numbered names; FILE.args holds a module's parameters.
load_modules() {
    for module in /rig/modules/*.ko; do
        # shellcheck disable=SC2046 # one word per parameter
        insmod "$module" $(cat "$module.args" 2>/dev/null) || say error "insmod $module failed"
    done
}

# shellcheck source=/dev/null
. /rig/backend.sh
start 2>&1 | frame start
say ready "$(cut -d' ' -f1 /proc/uptime)"

while read -r word rest <&3; do
    case $word in
        set)
            key=${rest%% *}
            # shellcheck disable=SC2034 # used by the line that eval makes
            value=${rest#"$key"}
            eval "opt_$key=\${value# }"
            keys="$keys opt_$key"
            ;;
        run)
            run_guest "$rest"
            rm -f /run/data /run/ready
            # shellcheck disable=SC2086 # a list of variables
            unset $keys
            keys=
            say "done" "$rest"
            ;;
        end)
            break
            ;;
        '') ;; # a nudge of the host's, while a guest ran
        *)
            say error "unknown command: $word"
            ;;
    esac
done
poweroff -f
