# SPDX-License-Identifier: MIT OR GPL-2.0-only
# shellcheck shell=sh disable=SC2154 # opt_* are set by ci/rig-init.sh, which reads this file
#
# The rig's part in dom0: Xen's own daemons, and one domain per run.

toolstack=$(echo /usr/lib/xen-*/bin)
export PATH="$toolstack:$PATH"

# Ends by which a domain is lost; its registers say where (xen/include/public/sched.h, SHUTDOWN_reboot and SHUTDOWN_crash).
FELL='has shut down, reason code [13] '
KEPT='on_poweroff="preserve";on_reboot="preserve";on_watchdog="preserve";on_crash="preserve";on_soft_reset="preserve"'

start() {
    mkdir -p /run/xen /run/xenstored
    load_modules /rig/modules
    mount -t xenfs xenfs /proc/xen
    xenstored --pid-file /run/xenstored.pid
    xen-init-dom0
    xenconsoled --pid-file=/run/xenconsoled.pid --log=guest --log-dir=/var/log/xen
    xl info
}

# uptime in hundredths of a second
now() {
    read -r up _ </proc/uptime
    echo "${up%.*}${up#*.}"
}

# run_guest, options: kernel config (xl's file) deadline append cpus memory ramdisk setting (one more of xl's) typed (file
# that is typed on the console after the guest's line `# input ready`) terminal (a TCP port that is joined to the console)
# trace (xentrace's event mask: what Xen notes while the domain is there goes to the file $share/trace).
# Answers: xl (what xl said; it names the end state), list (the domain as xl list shows it), type (of the domain), dmesg
# (what Xen said meanwhile), linux (what dom0's Linux said meanwhile), killed (the deadline has passed), stopped (as the host
# asked), registers (of a domain that was killed, or that has crashed or reset itself).
run_guest() {
    log=/var/log/xen/guest-guest.log
    # xenconsoled's log is a pipe. This end is held open until the domain is gone.
    rm -f "$log"
    mkfifo "$log"
    if [ -n "$opt_terminal" ]; then
        [ -p /run/terminal ] || mkfifo /run/terminal /run/input
        exec 8<>/run/terminal 9<>/run/input
        nc -l -p "$opt_terminal" </run/terminal >/run/input &
        terminal=$!
        tee "$console" <"$log" 8>&- 9>&- | tee /run/terminal 8>&- 9>&- | show &
    else
        tee "$console" <"$log" | show &
    fi
    carrying=$!
    exec 5>"$log"
    domain=
    runs=
    typist=
    xl dmesg -c >/dev/null 2>&1
    dmesg -c >/dev/null 2>&1
    [ -z "$opt_trace" ] || start_trace
    end=$(($(now) + ${opt_deadline:-60} * 100))
    # In the foreground (-F) xl stays until the domain has ended and says how; the domain starts paused
    # (-p), so that it is there to be listed however short its life is. It is kept when it has ended: xenconsoled
    # leaves what it has not read of the console of one that is destroyed (tools/console/daemon/io.c,
    # shutdown_domain).
    xl create -F -p "$opt_config" "$KEPT" 'name="guest"' "kernel=\"$opt_kernel\"" "cmdline=\"$opt_append\"" \
        "vcpus=${opt_cpus:-1}" "memory=${opt_memory:-64}" ${opt_ramdisk:+"ramdisk=\"$opt_ramdisk\""} \
        ${opt_setting:+"$opt_setting"} >/run/xl.log 2>&1 &
    xl=$!
    while kill -0 $xl 2>/dev/null; do
        if [ -z "$domain" ] && domain=$(created) && [ -n "$domain" ]; then
            xl list 2>&1 | frame list
            xl list -l "$domain" 2>&1 | grep -E '"(type|pvshim)":' | frame type
            [ -z "$opt_trace" ] || wait_for_trace
        fi
        if [ -n "$domain" ] && [ -z "$runs" ]; then
            if said=$(xl unpause "$domain" 2>&1); then
                runs=yes
            else
                echo "$said" | frame xl
            fi
        fi
        if [ -z "$typist" ] && [ -n "$opt_typed" ] && [ -f /run/ready ]; then
            type_from "$opt_typed"
        fi
        if [ -z "$typist" ] && [ -n "$opt_terminal" ] && [ -n "$runs" ]; then
            type_from /run/input
        fi
        if [ -f /run/stop ]; then
            say stopped "as asked"
            break
        fi
        if [ "$(now)" -gt "$end" ]; then
            say killed "after ${opt_deadline:-60} s"
            xl list 2>&1 | frame list
            [ -z "$domain" ] || xenctx -a -C "$domain" 2>&1 | frame registers
            # Xen's own keys: event channels and VCPUs, as the shim sees them (three times ^A leads to
            # it; its answer is on the guest's console) and as Xen does.
            for pty in /dev/pts/[0-9]*; do
                printf '\001\001\001eq' >"$pty"
            done
            xl debug-keys e
            usleep 500000
            break
        fi
        usleep 50000
    done
    if [ -n "$domain" ]; then
        if grep -qE "$FELL" /run/xl.log; then
            xenctx -a -C "$domain" 2>&1 | frame registers
        fi
        xl pause "$domain" 2>&1 | frame xl
        drain
        xl destroy "$domain" 2>&1 | frame xl
    elif kill $xl 2>/dev/null; then # it was still about to create it
        xl destroy guest 2>&1 | frame xl
    fi
    wait $xl
    say xl "exit status $?"
    [ -z "$opt_trace" ] || end_trace
    # shellcheck disable=SC2086 # a list
    [ -z "$typist" ] || kill $typist 2>/dev/null
    exec 5>&-
    wait $carrying
    if [ -n "$opt_terminal" ]; then
        usleep 200000
        kill "$terminal" 2>/dev/null
        exec 8>&- 9>&-
    fi
    frame xl </run/xl.log
    xl dmesg 2>&1 | frame dmesg
    dmesg 2>&1 | frame linux
}

# The number of the domain that xl has created; nothing before.
created() {
    sed -n 's/^Waiting for domain .* (domid \([0-9]*\)) to die.*/\1/p' /run/xl.log
}

# Until nothing more has come from the domain's console for longer than the fifth of a second for which xenconsoled leaves
# one alone that writes much (tools/console/daemon/io.c, RATE_LIMIT_PERIOD).
drain() {
    size=
    quiet=0
    while [ $quiet -lt 2 ]; do
        usleep 125000
        before=$size
        size=$(wc -c <"$console")
        if [ "$size" = "$before" ]; then
            quiet=$((quiet + 1))
        else
            quiet=0
        fi
    done
}

# Xen's trace buffers have room for 4 MiB, which xentrace empties ten times a second; it says on standard error
# what it cannot do.
start_trace() {
    rm -f /run/trace "$share/trace"
    xentrace -D -S 1024 -e "$opt_trace" /run/trace >/run/trace.log 2>&1 &
    tracing=$!
}

# Once dom0's own doings are in the trace, the domain's will be.
wait_for_trace() {
    for _ in $(seq 100); do
        [ ! -s /run/trace ] || return
        usleep 100000
    done
}

# Told to end, xentrace writes what is left in the buffers, and has Xen note nothing any more.
end_trace() {
    kill -INT "$tracing"
    wait "$tracing"
    say trace "xentrace: exit status $?"
    frame trace </run/trace.log
    cp /run/trace "$share/trace"
    rm -f /run/trace
}

# type_from FILE: on the domain's console.
type_from() {
    for pty in /dev/pts/[0-9]*; do
        cat "$1" >"$pty" &
        typist="$typist $!"
    done
}
