# SPDX-License-Identifier: MIT OR GPL-2.0-only
# shellcheck shell=sh disable=SC2154 # share and state are whoever's that reads this file
#
# What a rig and its host say to each other; read by ci/rig-init.sh, and by the tests on the build machine. The host's
# end is ci/control.py. File descriptor 3 is the serial port, $share the folder that both sides see, $state one in memory.
#
# The host sends lines `SUM NUMBER WORD ARGUMENT`. SUM is the first eight digits of the SHA-256 of the rest: a busy
# machine loses bytes of its serial port. A line that does not fit its SUM is answered by `@again`, any other by
# `@ack NUMBER`, also when it comes a second time because the answer was lost; it is carried out once. Empty lines do
# nothing: they are sent to wake a processor that has lost an interrupt.
#
#     run FOLDER       run the guest of $share/FOLDER: its file `options` sets opt_KEY for the backend's run_guest
#     script FOLDER    run $share/FOLDER/script by this shell
#     stop             end the guest that runs
#
# While a guest runs `@console TEXT` lines are its console as far as it is written, to be looked at, and `@prompt TEXT` is
# its last line where it has not ended and nothing more comes: what counts is
# in files of its folder afterwards, `console` (every byte) and `answers` (lines `@TAG TEXT`); `done` is written last,
# and the line `@done FOLDER` says so. `@error TEXT` is the end of what was asked for.

answers=
console=$state/console

# tell TAG TEXT: a line to the host, now.
tell() {
    printf '@%s %s\n' "$1" "$2" >&3
}

# say TAG TEXT: for the answers of a run; outside of one it goes to the host.
say() {
    if [ -n "$answers" ]; then
        printf '@%s %s\n' "$1" "$2" >>"$answers"
    else
        tell "$1" "$2"
    fi
}

# frame TAG <lines: as `say`; awk, because it ends a last line that has no newline.
frame() {
    if [ -n "$answers" ]; then
        awk -v tag="@$1 " '{ print tag $0 }' >>"$answers"
    else
        awk -v tag="@$1 " '{ print tag $0; fflush() }' >&3
    fi
}

# show <output of a guest, to its end: tells it line by line, without carriage returns. Lines `# data …` are too many
# for the port; the file has them. A line `# input ready` makes the file $state/ready: the guest waits for what is to be
# typed. What a line `# request WORD…` names is put into the file $state/request: the guest waits to be asked for it.
show() {
    awk '{ gsub(/\r/, "") }
        /^# data / { next }
        { print "@console " $0; fflush() }
        /^# input ready/ { print >ready; close(ready) }
        /^# request / { print $3, $4 >request; close(request) }' ready="$state/ready" request="$state/request" >&3
}

# prompts: tells the console's last line again and again while it stands still and has not ended; until it is killed.
prompts() {
    before=0
    while sleep 1; do
        size=$(wc -c <"$console")
        if [ "$size" = "$before" ] && [ "$size" -gt 0 ] && [ -n "$(tail -c 1 "$console")" ]; then
            tell prompt "$(tail -c 1024 "$console" | tail -n 1 | tr -d '\r')"
        fi
        before=$size
    done
}

# take_core: what is written to the pipe $state/dump goes to the file $opt_core of the channel, in pieces that the channel
# takes; a hypervisor's tools write as they like.
take_core() {
    [ -p "$state/dump" ] || mkfifo "$state/dump"
    cat "$state/dump" >"$opt_core" &
    carrier=$!
}

# end_core STATUS FILE: once that is written; if STATUS is not 0 there is none, and FILE says why.
end_core() {
    if [ "$1" = 0 ]; then
        wait "$carrier"
    else
        kill "$carrier"
        rm -f "$opt_core"
        frame core <"$2"
    fi
}

checksum() {
    sum=$(printf %s "$1" | sha256sum)
    printf %.8s "$sum"
}

# in_folder FOLDER WORD: `run` or `script`. In a subshell, so nothing of it outlives it.
in_folder() {
    own=$share/$1
    if [ ! -d "$own" ]; then
        tell error "no folder $1 in the channel"
        return
    fi
    answers=$state/answers
    rm -f "$state/stop" "$state/ready" "$state/request"
    : >"$answers"
    : >"$console"
    if [ "$2" = run ]; then
        # shellcheck source=/dev/null
        . "$own/options"
        (
            prompts &
            echo $! >"$state/prompts" # no child of this shell, which may wait for all of its own
        )
        run_guest
        kill "$(cat "$state/prompts")"
    else
        sh "$own/script" >"$console" 2>&1 3>&-
        say status $?
    fi
    cp "$console" "$own/console"
    cp "$answers" "$own/answers"
    : >"$own/done"
    tell "done" "$1"
}

# serve: until the machine is switched off.
serve() {
    last=
    while read -r sum number word argument <&3; do
        [ -n "$sum" ] || continue
        if [ "$sum" != "$(checksum "$number $word $argument")" ]; then
            tell again "$sum"
            continue
        fi
        tell ack "$number"
        [ "$number" != "$last" ] || continue
        last=$number
        case $word in
            run | script) (in_folder "$argument" "$word") & ;;
            stop) : >"$state/stop" ;;
            *) tell error "unknown command: $word" ;;
        esac
    done
}
