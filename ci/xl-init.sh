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
    forget
}

# What Xen and dom0's Linux have said so far is not about the next domain.
forget() {
    xl dmesg -c >/dev/null 2>&1
    dmesg -c >/dev/null 2>&1
}

# Sets $now to the uptime in hundredths of a second. Each process that the loops below start, xl's above all, takes long in
# an emulated dom0.
look_at_clock() {
    read -r up _ </proc/uptime
    now=${up%.*}${up#*.}
}

# attach_disks: those of $opt_disks, copied into memory; prints xl's setting for them.
attach_disks() {
    number=0
    for disk in $opt_disks; do
        cp "${disk%,*}" "/run/disk$number"
        losetup "/dev/loop$number" "/run/disk$number"
        printf '%s"phy:/dev/loop%s,xvd%s,%s"' "${comma:=}" $number "$(echo abcdefgh | cut -c $((number + 1)))" "${disk##*,}"
        comma=,
        number=$((number + 1))
    done
}

# detach_disks: what the guest has written goes back.
detach_disks() {
    number=0
    for disk in $opt_disks; do
        losetup -d "/dev/loop$number"
        [ "${disk##*,}" = r ] || cp "/run/disk$number" "${disk%,*}"
        rm "/run/disk$number"
        number=$((number + 1))
    done
}

# vif_settings: prints xl's setting for $opt_nets networks.
vif_settings() {
    for net in $(seq 1 "${opt_nets:-0}"); do
        printf '%s"mac=00:16:3e:00:00:0%s,script=/etc/xen/scripts/vif-up"' "${comma:=}" "$net"
        comma=,
    done
}

# join_nets: carries frames between the networks of $domain and streams from the host, from port $opt_net_port on.
join_nets() {
    for net in $(seq 1 "${opt_nets:-0}"); do
        xl-net "vif$domain.$((net - 1))" "$((opt_net_port + net - 1))" 2>&1 | frame net &
    done
}

# run_guest, options: kernel config (xl's file) deadline append cpus memory ramdisk setting (one more of xl's) typed (file
# that is typed on the console after the guest's line `# input ready`) terminal (a TCP port that is joined to the console)
# trace (xentrace's event mask: what Xen notes while the domain is there goes to the file $share/trace) disks (files, each
# with ,w or ,r) requests (if set, the domain is asked for what its lines `# request WORD` name) nets (how many) net_port (where the first of them is joined to a stream)
# core (if set, the file that xl's dump of the domain goes to once it has ended, or is to be ended) memory_mib (if set, not a
# dump goes there, but the domain's memory by itself up to there; ci/xl-memory.c says of which domains).
# Answers: xl (what xl said; it names the end state), request (what xl said when it asked the domain for something), type (of the
# domain), dmesg (what Xen said meanwhile), linux (what dom0's Linux said meanwhile), killed (the deadline has passed), list (all
# domains then), stopped (as the host asked), registers (of a domain that was killed, or that has crashed or reset itself),
# core (why there is no dump).
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
    filler=
    typist=
    [ -z "$opt_trace" ] || start_trace
    disks=$(attach_disks)
    vifs=$(vif_settings)
    look_at_clock
    end=$((now + ${opt_deadline:-60} * 100))
    # In the foreground (-F) xl stays until the domain has ended and says how; the domain starts paused
    # (-p), so that it is there to be looked at however short its life is. It is kept when it has ended: xenconsoled
    # leaves what it has not read of the console of one that is destroyed (tools/console/daemon/io.c,
    # shutdown_domain).
    xl create -F -p "$opt_config" "$KEPT" 'name="guest"' "kernel=\"$opt_kernel\"" "cmdline=\"$opt_append\"" \
        "vcpus=${opt_cpus:-1}" "memory=${opt_memory:-64}" ${opt_ramdisk:+"ramdisk=\"$opt_ramdisk\""} \
        ${disks:+"disk=[$disks]"} ${vifs:+"vif=[$vifs]"} ${opt_setting:+"$opt_setting"} >/run/xl.log 2>&1 &
    xl=$!
    while kill -0 $xl 2>/dev/null; do
        if [ -z "$domain" ] && domain=$(created) && [ -n "$domain" ]; then
            xl list -l "$domain" 2>&1 | grep -E '"(type|pvshim)":' | frame type
            [ -z "$opt_trace" ] || wait_for_trace
            join_nets
        fi
        if [ -n "$domain" ] && [ -z "$runs" ]; then
            if said=$(xl unpause "$domain" 2>&1); then
                runs=yes
                [ -z "$filler" ] || xl destroy filler
                filler=
            else
                echo "$said" | frame xl
            fi
        fi
        if [ -z "$typist" ] && [ -n "$opt_typed" ] && [ -f /run/ready ]; then
            type_from "$opt_typed"
        fi
        if [ -n "$opt_requests" ] && [ -s /run/request ]; then
            make_request >/run/request.log 2>&1
            frame request </run/request.log
        fi
        if [ -z "$typist" ] && [ -n "$opt_terminal" ] && [ -n "$runs" ]; then
            type_from /run/input
        fi
        if [ -f /run/stop ]; then
            say stopped "as asked"
            [ -z "$opt_core" ] || sleep 1 # in which it does what it has written of
            break
        fi
        look_at_clock
        if [ "$now" -gt "$end" ]; then
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
        usleep 100000
    done
    if [ -n "$domain" ]; then
        if grep -qE "$FELL" /run/xl.log; then
            xenctx -a -C "$domain" 2>&1 | frame registers
        fi
        # What has ended by itself is silent.
        kill -0 $xl 2>/dev/null && xl pause "$domain" 2>&1 | frame xl
        drain
        [ -z "$opt_core" ] || write_core
        xl destroy "$domain" 2>&1 | frame xl
    elif kill $xl 2>/dev/null; then # it was still about to create it
        xl destroy guest 2>&1 | frame xl
    fi
    wait "$xl"
    say xl "exit status $?"
    detach_disks
    [ "${opt_nets:-0}" = 0 ] || killall xl-net 2>/dev/null
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
    xl dmesg -c 2>&1 | frame dmesg
    dmesg -c 2>&1 | frame linux
}

# Writes the domain's memory and its CPUs, or its memory alone, into the channel.
write_core() {
    take_core
    if [ -n "$opt_memory_mib" ]; then
        xl-memory "$domain" "$opt_memory_mib" 2>/run/dump.log >/run/dump
    else
        xl dump-core "$domain" /run/dump >/run/dump.log 2>&1
    fi
    end_core $? /run/dump.log
}

# Asks the domain for what it has named, once.
make_request() {
    read -r word key </run/request
    rm /run/request
    case $word in
        poweroff) xl shutdown "$domain" ;;
        reboot) xl reboot "$domain" ;;
        key) xl sysrq "$domain" "$key" ;;
        memory) xl mem-set "$domain" "${key}m" ;;
        vcpus) xl vcpu-list "$domain" && xl vcpu-set --ignore-host "$domain" "$key" ;;
        suspend) save_and_restore ;;
        *) echo "unknown: $word" ;;
    esac
}

# Saves the domain, and restores it once another one has taken the frames that it has left. xl's words for the one that
# is gone are among those about the request.
save_and_restore() {
    timeout 300 xl save "$domain" /run/saved || return
    wait "$xl"
    cat /run/xl.log
    xl create -p "$opt_config" 'name="filler"' "kernel=\"$opt_kernel\"" "memory=${opt_memory:-64}" && filler=yes
    xl restore -F -p /run/saved >/run/xl.log 2>&1 &
    xl=$!
    domain=
    runs=
}

# The number of the domain that xl has created; nothing before.
created() {
    sed -n 's/^Waiting for domain .* (domid \([0-9]*\)) to die.*/\1/p' /run/xl.log
}

# Until nothing more has come from the domain's console for longer than the fifth of a second for which xenconsoled leaves
# one alone that writes much (tools/console/daemon/io.c, RATE_LIMIT_PERIOD).
drain() {
    before=
    size=$(wc -c <"$console")
    while [ "$size" != "$before" ]; do
        usleep 250000
        before=$size
        size=$(wc -c <"$console")
    done
}

# Lines NAME VALUE of what Xen has free and what there is of domains; none of it may depend on how many there were before.
# Xen frees the last of a domain a while after its toolstack has seen its end, so that it is asked until its answer stays.
resources() {
    before=
    pages=$(free_pages)
    while [ "$pages" != "$before" ]; do
        sleep 1
        before=$pages
        pages=$(free_pages)
    done
    echo "free_pages $pages"
    # shellcheck disable=SC2046 # a word for each
    echo domains $(xl list | awk 'NR > 1 { print $2 }')
    for path in /local/domain /libxl /vm; do
        # shellcheck disable=SC2046
        echo "$path" $(store_children "$path" | sort)
    done
}

# By Xen's own key, for `xl info` rounds to MiB.
free_pages() {
    xl dmesg -c >/dev/null
    xl debug-keys H
    xl dmesg -c | awk '/heap\[node=.*pages/ { pages += $(NF - 1) } END { print pages }'
}

# store_children PATH: names of the nodes below one of xenstore's (xen/io/xs_wire.h: a header of four words, which are type
# XS_DIRECTORY, request, transaction and length, then the path; the answer has a header as well).
store_children() {
    length=$(printf '\\%03o' $((${#1} + 1)))
    exec 4<>/dev/xen/xenbus
    # shellcheck disable=SC2059 # the length is an escape sequence
    printf "\\001\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0$length\\0\\0\\0%s\\0" "$1" >&4
    dd bs=4112 count=1 <&4 2>/dev/null | tail -c +17 | tr '\0' '\n'
    exec 4>&-
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
