# SPDX-License-Identifier: MIT OR GPL-2.0-only
# shellcheck shell=sh disable=SC2154 # opt_* are set by ci/rig-init.sh, which reads this file
#
# The rig's part in the Linux that has KVM: one QEMU per run, and KVM's own counters around it.

start() {
    load_modules
    mount -t debugfs debugfs /sys/kernel/debug
    uname -sr
    sed -n 's/^model name.*: /cpu /p' /proc/cpuinfo | head -n 1
    for parameter in npt avic; do
        echo "kvm_amd.$parameter $(cat /sys/module/kvm_amd/parameters/$parameter 2>/dev/null)"
    done
    [ -c /dev/kvm ] || echo "no /dev/kvm"
}

# run_guest KERNEL, options: deadline append cpus memory cpu (QEMU's -cpu) machine (QEMU's -machine)
# arguments (further ones of QEMU) console (QEMU's arguments for it; /run/console and standard input and output are
# its ends) typed (file that is typed on the console).
# All output goes by way of the file /run/console, which never refuses any: QEMU's virtio console drops what a pipe
# does not take (hw/char/virtio-console.c, flush_buf).
# Tags: exit (QEMU's status; 137 if it was killed), killed, counter (KVM's counters of this guest).
run_guest() {
    rm -f /run/status
    # Open for both, so that QEMU's standard input does not end when what is typed does.
    [ -p /run/input ] || mkfifo /run/input
    exec 5<>/run/input
    typist=
    : >/run/console
    exec 6</run/console
    [ -p /run/output ] || mkfifo /run/output
    console </run/output &
    exec 7>/run/output
    {
        # shellcheck disable=SC2086 # one word per argument
        timeout -s KILL "${opt_deadline:-60}" qemu -L /usr/share/qemu -L /usr/share/seabios \
            -nodefaults -no-user-config -accel kvm -machine "${opt_machine:-pc}" -cpu "${opt_cpu:-host}" \
            -smp "${opt_cpus:-1}" -m "${opt_memory:-64}" -display none ${opt_console:--serial stdio} -monitor none -no-reboot \
            -device isa-debug-exit,iobase=0xf4,iosize=4 $opt_arguments -kernel "/guests/$1" -append "$opt_append" <&5
        echo $? >/run/status
    } >>/run/console 2>&1 7>&- &
    # KVM drops a guest's counters with the guest, but not before the last open one of them is closed
    # (virt/kvm/kvm_main.c, kvm_debugfs_open): so hold one open and read all when QEMU has gone.
    counters=
    while [ ! -f /run/status ]; do
        for folder in /sys/kernel/debug/kvm/*-*; do
            if [ -z "$counters" ] && [ -f "$folder/exits" ]; then
                exec 4<"$folder/exits"
                counters=$folder
            fi
        done
        if [ -z "$typist" ] && [ -n "$opt_typed" ] && [ -f /run/ready ]; then
            # By a file descriptor of its own: QEMU makes its standard input one that does not block.
            cat "/guests/$opt_typed" >/run/input 7>&- &
            typist=$!
        fi
        cat <&6 >&7
        usleep 20000
    done 2>/dev/null
    cat <&6 >&7
    exec 6<&- 7>&-
    [ -z "$typist" ] || kill "$typist" 2>/dev/null
    exec 5>&-
    wait
    status=$(cat /run/status)
    [ "$status" != 137 ] || say killed "after ${opt_deadline:-60} s"
    if [ -n "$counters" ]; then
        for counter in "$counters"/*; do
            [ ! -f "$counter" ] || echo "${counter##*/} $(cat "$counter")"
        done 2>/dev/null | frame counter
        exec 4<&-
    fi
    say exit "$status"
}
