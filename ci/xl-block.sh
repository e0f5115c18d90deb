#!/bin/sh
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What libxl runs in the rig for a disk of a domain (/etc/xen/scripts/block): tells the back end which device it is.
# XENBUS_PATH is the back end's directory in xenstore.

case $1 in
    add)
        device=$(xenstore-read "$XENBUS_PATH/params")
        xenstore-write "$XENBUS_PATH/physical-device" "$(stat -L -c %t:%T "$device")" \
            "$XENBUS_PATH/physical-device-path" "$device" "$XENBUS_PATH/hotplug-status" connected
        ;;
    remove) xenstore-rm "$XENBUS_PATH/hotplug-status" ;;
esac
