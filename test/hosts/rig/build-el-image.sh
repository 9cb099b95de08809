#!/bin/bash
# Builds the layer of hosts that look like Red Hat's family to whoever installs on them, over the base of build-image.sh.
#
#   build-el-image.sh DIRECTORY LAYER
#
#   DIRECTORY/LAYER  dnf (also as yum) in apt's place, and two repositories that need no network: PostgreSQL 15 as the PostgreSQL
#                    project packs it (/srv/pgdg15, Debian's binaries in their names and places), and AppStream (/srv/appstream),
#                    whose module hides the former until it is disabled
set -euo pipefail
directory=$1 layer=$1/$2
here=$(dirname "$0")
. "$here/image-layers.sh"
tools=(dnf rpm createrepo-c)
# What PostgreSQL needs of the system; on the real thing its packages ask for it.
libraries=(libicu72 libxml2 libxslt1.1 libldap-2.5-0 libgssapi-krb5-2 libreadline8 libsystemd0 liblz4-1 libzstd1)

lay_out() { # ROOT BUILD: the files as the packages are to hold them, below BUILD/root
    local root=$1 unpacked=$2/unpacked tree=$2/root
    for package in postgresql-15 postgresql-client-15 libpq5; do
        dpkg-deb -x "$directory"/debs/${package}_*.deb "$unpacked"
    done
    local home=$tree/usr/pgsql-15
    mkdir -p "$home" "$tree"/usr/lib/{systemd/system,tmpfiles.d,postgresql/15} "$tree/usr/share/postgresql" \
        "$tree/etc/ld.so.conf.d" "$tree"/var/lib/pgsql/15/{data,backups}
    mv "$unpacked/usr/lib/postgresql/15/bin" "$unpacked/usr/lib/postgresql/15/lib" "$home"
    mv "$unpacked/usr/share/postgresql/15" "$home/share"
    mv "$unpacked"/usr/lib/*/libpq.so.5* "$home/lib"
    # The programs look where Debian has compiled them to look.
    ln -s /usr/pgsql-15/lib "$tree/usr/lib/postgresql/15/lib"
    ln -s /usr/pgsql-15/share "$tree/usr/share/postgresql/15"
    # The PostgreSQL project has JIT in a package of its own.
    rm -rf "$home"/lib/llvmjit* "$home/lib/bitcode"
    ln -sf postgres "$home/bin/postmaster"
    install -m 755 "$here"/red-hat/postgresql-15-{setup,check-db-dir} "$home/bin"
    install -m 644 "$here/red-hat/postgresql-15.service" "$tree/usr/lib/systemd/system"
    echo 'd /run/postgresql 0755 postgres postgres -' >"$tree/usr/lib/tmpfiles.d/postgresql-15.conf"
    echo /usr/pgsql-15/lib >"$tree/etc/ld.so.conf.d/postgresql-pgdg-libs.conf"
    printf '%s\n' "unix_socket_directories = '/run/postgresql, /tmp'" 'logging_collector = on' \
        "log_filename = 'postgresql-%a.log'" 'log_rotation_age = 1d' 'log_rotation_size = 0' \
        'log_truncate_on_rotation = on' "log_line_prefix = '%m [%p] '" >>"$home/share/postgresql.conf.sample"
    local missing
    missing=$(inside "$root" sh -c 'for file in "$0"/bin/* "$0"/lib/*.so; do
        LD_LIBRARY_PATH=$0/lib ldd "$file" 2>/dev/null | grep "not found"; done; true' "${home#"$root"}" | sort -u)
    [ -z "$missing" ] || { echo "PostgreSQL lacks libraries: $missing" >&2; exit 1; }
}

list() { # BUILD: which file is whose
    local all=$1/lists/all
    local client='/bin/(psql|clusterdb|createdb|createuser|dropdb|dropuser|pg_(basebackup|config|dump|dumpall|isready|restore|receivewal|recvlogical|verifybackup|amcheck)|pgbench|reindexdb|vacuumdb)$'
    local core='/(plpgsql[^/]*|dict_snowball\.so|libpqwalreceiver\.so|pgoutput\.so|[^/]*_and_[^/]*|euc2004_sjis2004\.so)$'
    mkdir "$1/lists"
    (cd "$1/root" && find . \( -type f -o -type l \) -printf '/%P\n' | sort) >"$all"
    grep -E "$client" "$all" >"$1/lists/client"
    grep -E 'libpq\.so|ld\.so\.conf' "$all" >"$1/lists/libs"
    grep -E 'pgsql-15/(share/extension/|lib/[^/]*\.so$)' "$all" | grep -vE "$core|libpq\.so" >"$1/lists/contrib"
    sort "$1"/lists/{client,libs,contrib} | comm -23 "$all" - >"$1/lists/server"
}

pack() { # ROOT SPEC REPOSITORY DEFINITION...
    local root=$1 spec=$2 repository=$3
    shift 3
    local words=(--define '_topdir /srv/build/rpm' --define "_rpmdir $repository" --define '_binary_payload w3.zstdio'
        --define 'debug_package %{nil}' --define '__os_install_post %{nil}' --define '_build_id_links none')
    for definition; do words+=(--define "$definition"); done
    inside "$root" rpmbuild --quiet -bb "${words[@]}" "/srv/build/specs/$spec" >"$root/srv/build/log" 2>&1 ||
        { tail -n 5 "$root/srv/build/log" >&2; exit 1; }
}

offer() { # ROOT NAME
    printf '%s\n' "[$2]" "name=$2" "baseurl=file:///srv/$2" enabled=1 gpgcheck=0 >"$1/etc/yum.repos.d/$2.repo"
    inside "$1" createrepo_c -q "/srv/$2"
}

resemble() { # ROOT: nothing of apt is found, and the system says what it is taken for
    inside "$1" sh -c 'rm -rf /usr/bin/apt* /usr/bin/dpkg* /usr/lib/apt /usr/lib/dpkg /etc/apt /var/lib/apt /var/lib/dpkg/info'
    ln -sf bash "$1/usr/bin/sh"
    ln -sf dnf-3 "$1/usr/bin/yum"
    rm "$1/etc/debian_version"
    echo 'Test hosts release 9.4' >"$1/etc/redhat-release"
    printf '%s\n' 'NAME="Test hosts"' 'ID="test-hosts"' 'ID_LIKE="rhel centos fedora"' 'VERSION_ID="9.4"' \
        'PLATFORM_ID="platform:el9"' 'PRETTY_NAME="Test hosts 9.4 (Debian with dnf)"' >"$1/usr/lib/os-release"
}

[ ! -e "$layer.done" ] || exit 0
umount "$layer-root" 2>/dev/null || true
rm -rf "$layer" "$layer-work"
overlay "$layer"
root=$layer-root build=$layer-root/srv/build
online "$root"
inside "$root" apt-get -q update
inside "$root" apt-get -q -y install "${tools[@]}" "${libraries[@]}"
offline "$root"
# 26 is PostgreSQL's number there, as user and as group.
inside "$root" groupmod -g 933 tape
mkdir -p "$build/specs" "$root"/srv/{pgdg15,appstream} "$root"/etc/{rpm,yum.repos.d} "$root/var/lib/rpm"
cp "$here"/red-hat/*.spec "$build/specs"
echo '%_dbpath /var/lib/rpm' >"$root/etc/rpm/macros"
lay_out "$root" "$build"
list "$build"
version=$(inside "$root" env LD_LIBRARY_PATH=/srv/build/root/usr/pgsql-15/lib \
    /srv/build/root/usr/pgsql-15/bin/postgres --version | sed 's/.* \(15\.[0-9]*\).*/\1/')
pack "$root" postgresql15.spec /srv/pgdg15 "pg_version $version" 'laid_out /srv/build/root' 'lists /srv/build/lists'
pack "$root" redhat-release.spec /srv/appstream
pack "$root" appstream.spec /srv/appstream 'modularitylabel postgresql:13:9040020240101:abc'
resemble "$root"
offer "$root" pgdg15
offer "$root" appstream
sed "s/@ARCH@/$(uname -m)/" "$here/red-hat/modules.yaml" >"$build/modules.yaml"
inside "$root" modifyrepo_c --mdtype=modules /srv/build/modules.yaml /srv/appstream/repodata >/dev/null
inside "$root" dnf -y -q install redhat-release
rm -rf "$build" "$root"/var/cache/dnf/* "$root"/var/log/dnf* "$root"/usr/share/doc/*
drop "$layer"
touch "$layer.done"
