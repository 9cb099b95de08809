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
. "$(dirname "$0")/image-layers.sh"
layer=$directory/pg debs=$directory/debs
system=systemd,systemd-sysv,dbus,libpam-systemd,ca-certificates,procps,iproute2,openssh-server,sudo,less
postgres=(postgresql-15 postgresql-client-15)

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
        e2scrub_all.timer e2scrub_reap.service systemd-timesyncd.service user@.service; do
        ln -sf /dev/null "$base/etc/systemd/system/$unit"
    done
    # user@.service and this cost more than the commands that Backstay sends over ssh, and nobody reads what they say
    sed -i '/pam_motd/d' "$base/etc/pam.d/sshd"
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
