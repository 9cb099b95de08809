# What the scripts that build layers of the image share: sourced by them, with $directory set.
mirror=$(find /etc/apt/sources.list /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \) -exec cat {} + 2>/dev/null |
    awk 'found {next} /^URIs:/ {found = $2} /^deb / {for (i = NF; i > 1; i--) if ($i ~ /:\/\//) found = $i} END {print found}') || true
[ -n "$mirror" ] || { echo "this machine's apt names no mirror" >&2; exit 1; }
base=$directory/base
mounted=()
unmount() { for place in "${mounted[@]}"; do umount -l "$place" 2>/dev/null || true; done; }
trap unmount EXIT

inside() { # ROOT COMMAND...
    local root=$1
    shift
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive unshare --mount --pid --fork --kill-child sh -c '
            mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" "$@"
}

online() { # ROOT: the mirror may be asked, and nothing that is installed is started
    echo "deb $mirror bookworm main" >"$1/etc/apt/sources.list"
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    printf '%s\n' 'Acquire::Check-Valid-Until "false";' 'Acquire::Check-Date "false";' \
        'APT::Install-Recommends "false";' >"$1/etc/apt/apt.conf.d/99test-hosts"
}

offline() { # ROOT
    inside "$1" apt-get clean
    rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1/etc/resolv.conf" "$1/usr/sbin/policy-rc.d"
    echo 'deb [trusted=yes] file:/srv/debs ./' >"$1/etc/apt/sources.list"
}

overlay() { # UPPER: mounts it over the base at UPPER-root
    mkdir -p "$1" "$1-work" "$1-root"
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$1,workdir=$1-work" "$1-root"
    mounted=("$1-root" "${mounted[@]}")
}

drop() { # UPPER
    umount "$1-root"
    rm -rf "$1-work" "$1-root"
}
