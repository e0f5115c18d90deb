# SPDX-License-Identifier: MIT OR GPL-2.0-only
# shellcheck shell=sh disable=SC2154 # opt_* are set by ci/rig-init.sh, which reads this file
#
# The rig's part in the Linux that has KVM: one QEMU per run, and KVM's own counters around it.

# In which a guest's dump is written.
CORE_SECONDS=60

start() {
    load_modules /rig/modules
    mount -t debugfs debugfs /sys/kernel/debug
    uname -sr
    sed -n 's/^model name.*: /cpu /p' /proc/cpuinfo | head -n 1
    for parameter in npt avic; do
        echo "kvm_amd.$parameter $(cat /sys/module/kvm_amd/parameters/$parameter 2>/dev/null)"
    done
    [ -c /dev/kvm ] || echo "no /dev/kvm"
}

# run_guest, options: kernel deadline append cpus memory cpu (QEMU's -cpu) machine (QEMU's -machine) modules (QEMU's
# -initrd) arguments (further ones of QEMU) console (QEMU's arguments for it; /run/console and standard input and output
# are its ends) typed (file that is typed on the console after the guest's line `# input ready`) terminal (a TCP port
# that is joined to the console) requests (if set, the guest gets what its lines `# request WORD` name) core (if
# set, the file that QEMU's dump of the guest goes to when it is stopped, halts or has had its time).
# All output goes by way of the file /run/console, which never refuses any: QEMU's virtio console drops what a pipe
# does not take (hw/char/virtio-console.c, flush_buf).
# Answers: qemu (what QEMU itself says), exit (its status), killed (its deadline has passed), stopped (as the host asked), counter (KVM's counters
# of this guest), core (why there is no dump), life (of each thing that happened to it, when it began and ended).
run_guest() {
    rm -f /run/status
    # Open for both, so that QEMU's standard input does not end when what is typed does.
    [ -p /run/input ] || mkfifo /run/input
    exec 5<>/run/input
    typist=
    exec 6<"$console"
    [ -p /run/output ] || mkfifo /run/output
    show </run/output &
    exec 7>/run/output
    monitor="-monitor none"
    listener=
    end=
    limit=${opt_deadline:-60}
    if [ -n "$opt_requests$opt_core" ]; then
        join_monitor
    fi
    if [ -n "$opt_core" ]; then
        look_at_clock
        end=$((now + limit))
        limit=$((limit + CORE_SECONDS))
    fi
    if [ -n "$opt_terminal" ]; then
        [ -p /run/terminal ] || mkfifo /run/terminal
        exec 8<>/run/terminal
        nc -l -p "$opt_terminal" </run/terminal >/run/input 7>&- &
        terminal=$!
    fi
    {
        # The shell says on its own standard error what has killed a program. It is a subshell's here, so that nothing but
        # the guest's words gets onto the guest's console.
        # shellcheck disable=SC2086 # one word per argument
        (exec timeout -s KILL "$limit" qemu -L /usr/share/qemu -L /usr/share/seabios \
            -nodefaults -no-user-config -accel kvm -machine "${opt_machine:-pc}" -cpu "${opt_cpu:-host}" \
            -smp "${opt_cpus:-1}" -m "${opt_memory:-64}" -display none ${opt_console:--serial stdio} $monitor -no-reboot \
            -device isa-debug-exit,iobase=0xf4,iosize=4 $opt_arguments -kernel "$opt_kernel" -append "$opt_append" \
            ${opt_modules:+-initrd "$opt_modules"} <&5 >>"$console" 2>/run/qemu.log)
        echo $? >/run/status
    } 2>/dev/null 7>&- 8>&- &
    # KVM drops a guest's counters with the guest, but not before the last open one of them is closed
    # (virt/kvm/kvm_main.c, kvm_debugfs_open): so hold one open and read all when QEMU has gone.
    counters=
    stopped=
    while [ ! -f /run/status ]; do
        for folder in /sys/kernel/debug/kvm/*-*; do
            if [ -z "$counters" ] && [ -f "$folder/exits" ]; then
                exec 4<"$folder/exits"
                counters=$folder
            fi
        done
        if [ -z "$typist" ] && [ -n "$opt_typed" ] && [ -f /run/ready ]; then
            # By a file descriptor of its own: QEMU makes its standard input one that does not block.
            cat "$opt_typed" >/run/input 7>&- &
            typist=$!
        fi
        if [ -n "$opt_requests" ] && [ -s /run/request ]; then
            make_request
        fi
        if [ -z "$stopped" ] && is_over; then
            [ -z "$opt_core" ] || write_core
            killall -KILL qemu
        fi
        pass_on
        # Each process that is started here takes from the guest, which has the same processor.
        usleep 100000
    done 2>/dev/null
    pass_on
    exec 6<&- 7>&-
    [ -z "$typist" ] || kill "$typist" 2>/dev/null
    if [ -n "$opt_terminal" ]; then
        # nc has what is left in the pipe, if anybody has come to read it.
        usleep 1000000
        kill "$terminal" 2>/dev/null
        exec 8>&-
    fi
    exec 5>&-
    [ -z "$listener" ] || kill "$listener"
    wait
    exec 9<&-
    status=$(cat /run/status)
    [ -z "$opt_requests" ] || say life "end $(date +%s) $(date +%s)"
    if [ -n "$stopped" ]; then
        say stopped "$stopped"
    elif [ "$status" = 137 ]; then
        say killed "after ${opt_deadline:-60} s"
    fi
    frame qemu </run/qemu.log
    if [ -n "$counters" ]; then
        (cd "$counters" && grep -s '' ./*) | sed 's|^\./||; s/:/ /' | frame counter
        exec 4<&-
    fi
    say exit "$status"
}

# Sets $now to the uptime in seconds.
look_at_clock() {
    read -r up _ </proc/uptime
    now=${up%.*}
}

# Whether the guest is to be ended now, by whom in $stopped; one that has had its time is killed, without a word in it.
is_over() {
    if [ -f /run/stop ]; then
        stopped="as asked"
    elif [ -n "$opt_core" ] && [ -f /run/halted ]; then
        stopped="at its end"
    else
        [ -n "$end" ] && look_at_clock && [ "$now" -ge "$end" ]
    fi
}

# Makes QEMU's monitor ready, which speaks QMP. Its ends are open for both directions, so that nobody waits for a QEMU that
# is not there. What it says of a guest that stands still, and of a dump that is written, makes files.
join_monitor() {
    rm -f /run/halted /run/dumped
    [ -p /run/monitor.in ] || mkfifo /run/monitor.in /run/monitor.out
    exec 9<>/run/monitor.in
    while read -r said; do
        case $said in
            *'"event": "STOP"'*) : >/run/halted ;;
            *'"id": "core"'*) echo "$said" >/run/dumped ;;
        esac
    done <>/run/monitor.out 7>&- &
    listener=$!
    monitor="-chardev pipe,id=monitor,path=/run/monitor -mon chardev=monitor,mode=control"
    tell_qemu qmp_capabilities
}

# tell_qemu COMMAND [MEMBERS]: by its monitor.
tell_qemu() {
    echo "{\"execute\": \"$1\"$2}" >&9
}

# Halts the guest and has QEMU write its memory and its CPUs into the channel; a second after it is to be stopped, in which
# it does what it has written of.
write_core() {
    [ -f /run/halted ] || sleep 1
    tell_qemu stop
    take_core
    tell_qemu dump-guest-memory ', "arguments": {"paging": false, "protocol": "file:/run/dump"}, "id": "core"'
    until [ -s /run/dumped ] || [ -f /run/status ]; do
        usleep 100000
    done
    grep -qs '"return"' /run/dumped
    end_core $? /run/dumped
}

# Does to the guest what it has named, once. A byte on its console says that it is over, unless it has to say something
# itself.
make_request() {
    read -r word _ </run/request
    rm /run/request
    began=$(date +%s)
    case $word in
        poweroff) tell_qemu system_powerdown ;;
        stop:*)
            tell_qemu stop
            sleep "${word#*:}"
            tell_qemu cont
            say life "${word%%:*} $began $(date +%s)"
            echo >/run/input
            ;;
        *) say request "a PC cannot be asked for: $word" ;;
    esac
}

# pass_on: what the guest has written since, to those who look.
pass_on() {
    if [ -n "$opt_terminal" ]; then
        cat <&6 | tee /run/terminal >&7
    else
        cat <&6 >&7
    fi
}
