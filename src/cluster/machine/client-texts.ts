/**
 * Barman's two clients for database servers that have a way into the repository: programs of `sh`
 * that take the clients' words and go through the server's own key. Pure.
 *
 * They run as PostgreSQL's OS user and as nobody else: ssh does what its configuration says, so
 * that of another user is not used. What the other side sends is bounded in bytes and time, and
 * printed without what steers a terminal.
 */

/**
 * Where a machine's servers with a way are listed: `<cluster>/<server>`, which holds the data
 * directory.
 */
export const WAYS_LIST = '/etc/backstay/ways'

const USAGE_EXIT_CODE = 2
/** The largest segment is 1 GiB; of more nothing is taken. */
const MOST_BYTES = 1024 ** 3
const LONGEST_SECONDS = 600

/**
 * Reads the options: `flags` stand alone, a word follows those of `withValue`; both are patterns of
 * `case`.
 */
const readWords = (name: string, flags: string, withValue: string): string => `name=${name}
fail() { code=$1; shift; printf 'ERROR: %s\\n' "$*" | tr -cd '[:print:]\\n' >&2; exit "$code"; }
test=
while [ $# -gt 0 ]; do
  case $1 in
    -t|--test) test=yes; shift ;;
    -V|--version) echo "$name (Backstay)"; exit 0 ;;
    ${flags}) shift ;;
    ${withValue}) [ $# -ge 2 ] || fail ${USAGE_EXIT_CODE} "$1 needs a value"; shift 2 ;;
    --*=*) shift ;;
    --) shift; break ;;
    -?*) fail ${USAGE_EXIT_CODE} "unknown option $1" ;;
    *) break ;;
  esac
done
[ "$(id -u)" -ne 0 ] || fail ${USAGE_EXIT_CODE} "run it as PostgreSQL's OS user: its ssh configuration is his"
`

/**
 * Goes into the directory of the way of one of the cluster's servers here, which is the caller's
 * own and in which nobody else can put anything; that of the server in whose directory we were
 * where there are several. Then asks: `code` and `said` are how ssh ended.
 */
const FIND_WAY = `case $server in ''|*[!A-Za-z0-9_.-]*|.*) fail ${USAGE_EXIT_CODE} "unknown server '$server'" ;; esac
here=$PWD
way=
for entry in ${WAYS_LIST}/"$server"/*; do
  IFS= read -r directory <"$entry" 2>/dev/null || continue
  cd -P "$directory.ssh" 2>/dev/null || continue
  [ -O . ] && [ -f config ] && [ -O config ] || continue
  way=$PWD
  [ "$directory" = "$here" ] && break
done
[ -n "$way" ] || fail ${USAGE_EXIT_CODE} "no server of '$server' on this machine has a way into its repository that is $(id -un)'s"
cd -P "$way" && [ -O . ] && [ -O config ] || fail ${USAGE_EXIT_CODE} "the way into the repository of '$server' has gone"
ask() {
  said=$( { { timeout ${LONGEST_SECONDS} ssh -F ./config repository "$1" 2>&3; echo "exit $?" >&3; } | head -c ${MOST_BYTES + 1} >&4; } 3>&1 | tail -c 2000 )
  code=\${said##*exit }
  said=\${said%exit *}
}
`

/**
 * `barman-wal-archive [options] BARMAN_HOST SERVER WAL_PATH`, for archive_command. 0 when the file
 * is durable in the repository.
 */
export const ARCHIVE_CLIENT = `${readWords(
  'barman-wal-archive',
  '-z|--gzip|-j|--bzip2|--xz|--zstd|--lz4|--snappy|--md5',
  '-U|--user|--port|-c|--config|--compression-level',
)}[ $# -eq 3 ] || fail ${USAGE_EXIT_CODE} "usage: $name [options] BARMAN_HOST SERVER_NAME WAL_PATH"
server=$2 path=$3
if [ -z "$test" ]; then
  [ -f "$path" ] || fail ${USAGE_EXIT_CODE} "WAL_PATH is no file: $path"
  size=$(wc -c <"$path")
  exec <"$path"
fi
exec 4>/dev/null
${FIND_WAY}if [ -n "$test" ]; then
  ask hello </dev/null
  [ "$code" -eq 0 ] || fail 3 "no way into the repository of '$server': $said"
  echo "Ready to accept WAL files for the server $server"
  exit 0
fi
ask "wal push $(basename "$path") $size"
[ "$code" -ne 255 ] || fail 3 "no way into the repository of '$server': $said"
[ "$code" -eq 0 ] || fail 1 "the repository of '$server' did not take $path: $said"
`

/**
 * `barman-wal-restore [options] BARMAN_HOST SERVER WAL_NAME WAL_DEST`, for restore_command: 1 when
 * the file is not held, else 2, as Barman's.
 */
export const RESTORE_CLIENT = `${readWords(
  'barman-wal-restore',
  '-P|--partial|-z|--gzip|-j|--bzip2|--keep-compression',
  '-U|--user|--port|-c|--config|-s|--sleep|-p|--parallel|--spool-dir',
)}if [ -n "$test" ]; then [ $# -ge 2 ]; else [ $# -eq 4 ]; fi || fail ${USAGE_EXIT_CODE} "usage: $name [options] BARMAN_HOST SERVER_NAME WAL_NAME WAL_DEST"
server=$2 file=$3 destination=$4
exec </dev/null 4>/dev/null
if [ -z "$test" ]; then
  folder=$(cd -P "$(dirname "$destination")" 2>/dev/null && pwd) && [ -w "$folder" ] && [ ! -d "$destination" ] || fail 3 "cannot write '$destination'"
  destination=$folder/$(basename "$destination")
fi
${FIND_WAY}if [ -n "$test" ]; then
  ask hello
  [ "$code" -eq 0 ] || fail ${USAGE_EXIT_CODE} "no way into the repository of '$server': $said"
  echo "Ready to retrieve WAL files from the server $server"
  exit 0
fi
part=$(mktemp "$destination.XXXXXX") || fail 3 "cannot write '$destination'"
trap 'rm -f "$part"' EXIT
exec 4>"$part"
ask "wal get $file"
[ "$code" -ne 1 ] || fail 1 "the repository of '$server' does not hold $file"
[ "$code" -eq 0 ] || fail ${USAGE_EXIT_CODE} "the repository of '$server' did not give $file: $said"
size=$(wc -c <"$part")
case $file in
  *.history|*.backup) [ "$size" -gt 0 ] && [ "$size" -le 16777216 ] ;;
  *) size=$((size)); [ "$size" -ge 1048576 ] && [ "$size" -le ${MOST_BYTES} ] && [ $((size & (size - 1))) -eq 0 ] ;;
esac || fail ${USAGE_EXIT_CODE} "the repository of '$server' gave $size bytes of $file, which cannot be all of it"
mv "$part" "$destination" || fail 3 "cannot write '$destination'"
`
