#!/bin/sh
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What libxl runs in the rig for a network of a domain (/etc/xen/scripts/vif-up): the interface at the back end's side is up,
# and joined to nothing; ci/xl-net.c carries its frames. libxl sets vif (its name) and XENBUS_PATH.

case $1 in
    online)
        # shellcheck disable=SC2154 # see above
        ip link set "$vif" up
        xenstore-write "$XENBUS_PATH/hotplug-status" connected
        ;;
    offline) xenstore-rm "$XENBUS_PATH/hotplug-status" ;;
esac
