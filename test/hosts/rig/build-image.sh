#!/bin/bash
# Builds what the test hosts are made of, once; a layer that is there is left alone.
#
#   build-image.sh DIRECTORY
#
#   DIRECTORY/base   Debian 12 with systemd, sshd and sudo
#   DIRECTORY/pg     what installing PostgreSQL 15 adds to it (an overlay)
#   DIRECTORY/debs   an apt repository that the hosts see as /srv/debs: they reach no mirror
#
# The mirror is the one this machine uses itself. Needs root, debootstrap and dpkg-scanpackages.
set -euo pipefail
directory=$1
mirror=$(find /etc/apt/sources.list /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \) -exec cat {} + 2>/dev/null |
    awk 'found {next} /^URIs:/ {found = $2} /^deb / {for (i = NF; i > 1; i--) if ($i ~ /:\/\//) found = $i} END {print found}') || true
[ -n "$mirror" ] || { echo "this machine's apt names no mirror" >&2; exit 1; }
base=$directory/base layer=$directory/pg debs=$directory/debs
system=systemd,systemd-sysv,dbus,libpam-systemd,ca-certificates,procps,iproute2,openssh-server,sudo,less
postgres=(postgresql-15 postgresql-client-15)
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

mkdir -p "$directory"
if [ ! -e "$directory/base.done" ]; then
    rm -rf "$base"
    debootstrap --variant=minbase --include="$system" bookworm "$base" "$mirror"
    online "$base"
    offline "$base"
    rm -f "$base"/etc/ssh/ssh_host_*
    mkdir -p "$base/srv/debs"
    : >"$base/etc/machine-id"
    # no login prompt, no timers that would miss the network
    for unit in console-getty.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
        e2scrub_all.timer e2scrub_reap.service systemd-timesyncd.service; do
        ln -sf /dev/null "$base/etc/systemd/system/$unit"
    done
    printf '%s\n' 'UseDNS no' 'PasswordAuthentication no' 'MaxStartups 100' >"$base/etc/ssh/sshd_config.d/test-hosts.conf"
    touch "$directory/base.done"
fi
if [ ! -e "$directory/pg.done" ]; then
    rm -rf "$layer"
    overlay "$layer"
    online "$layer-root"
    mkdir -p "$layer-root/etc/postgresql-common/createcluster.d"
    echo 'create_main_cluster = false' >"$layer-root/etc/postgresql-common/createcluster.d/test-hosts.conf"
    inside "$layer-root" apt-get -q update
    inside "$layer-root" apt-get -q -y install "${postgres[@]}"
    offline "$layer-root"
    drop "$layer"
    touch "$directory/pg.done"
fi
if [ ! -e "$directory/debs.done" ]; then
    rm -rf "$debs" "$directory/download"
    mkdir -p "$debs/partial"
    overlay "$directory/download"
    online "$directory/download-root"
    mount --bind "$debs" "$directory/download-root/srv/debs"
    mounted=("$directory/download-root/srv/debs" "${mounted[@]}")
    inside "$directory/download-root" apt-get -q update
    inside "$directory/download-root" apt-get -q -y --download-only -o Dir::Cache::archives=/srv/debs \
        -o APT::Sandbox::User=root install "${postgres[@]}"
    umount "$directory/download-root/srv/debs"
    drop "$directory/download"
    rm -rf "$directory/download" "$debs/partial" "$debs/lock"
    (cd "$debs" && dpkg-scanpackages -m . >Packages)
    touch "$directory/debs.done"
fi
