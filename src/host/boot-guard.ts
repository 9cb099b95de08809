/**
 * What keeps a server from coming up when it must not: an old primary whose place another one has
 * taken.
 *
 * Three things hold it back, in this order:
 * 1. A fence, `<data directory>.fenced`, written by whoever knows that the server must stay down
 *    (`fenceServer`, or a person).
 *    Neither `startServer` nor systemd starts a fenced server; rejoin lifts it once the directory is a standby's again, and a
 *    clone that takes its place.
 * 2. `standby.signal` (or recovery.conf): a directory that has it can come up as a standby only.
 * 3. The guard, which systemd runs before every start that Backstay did not ask for: after a power
 *    failure nobody could fence
 *    the old primary. A directory that would come up as a primary starts only when another server of the cluster answers, none
 *    of those that answer is a primary, and none has a newer timeline. When nobody answers it stays down until somebody
 *    does, or until `backstay up`, which looks at all servers, starts it.
 *
 * `startServer` gives the guard a permit, a file in /run for the time of the start: whoever calls
 * it has looked.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { printableWord } from '../errors/printable.ts'
import { startOptions } from '../postgres/session-settings.ts'
import { readJson } from '../util/read-json.ts'
import type { Host } from './host.ts'

/** Why a server must not start. */
export interface Fence {
  /** What did it: `failover`, `switchover`, or who. */
  readonly by: string
  /** ISO 8601 UTC. */
  readonly at: string
  /** One sentence, for people: `"db2" was promoted`. */
  readonly reason: string
}

/** Whose data directory on which machine. */
interface FencePlace {
  readonly host: Host
  readonly directory: string
}

const FENCE_BYTES_MAX = 4096

/** Where the fence of a data directory lies: beside it, so that no clone or backup carries it. */
export function fencePathOf(dataDirectory: string): string {
  return `${dataDirectory}.fenced`
}

/** Forbids the server to start, durably. A running server goes on: stop it afterwards. */
export async function fenceServer({ host, directory }: FencePlace, fence: Fence): Promise<void> {
  const content = `${JSON.stringify(fence, undefined, 2)}\n`
  await host.writeFile(fencePathOf(directory), content, { mode: 0o644 })
}

/**
 * The fence, or undefined when the server may start. One that cannot be read, or is longer than
 * ours ever is, holds too.
 */
export async function readFence({ host, directory }: FencePlace): Promise<Fence | undefined> {
  const path = fencePathOf(directory)
  const bytes = await host.readFile(path, FENCE_BYTES_MAX).catch((error: unknown) => {
    const holds = isBackstayError(error, 'HOST_PRIVILEGE') || isBackstayError(error, 'FAILED')
    if (holds) return Buffer.alloc(0)
    throw error
  })
  if (bytes === undefined) return undefined
  // It lies where PostgreSQL's user may write, and ends in messages.
  const { by, at, reason } = Object(readJson(bytes.toString())) as Partial<Fence>
  return {
    by: wordOf(by, 'somebody'),
    at: wordOf(at, ''),
    reason: wordOf(reason, 'the fence says no more'),
  }
}

function wordOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? printableWord(value) : otherwise
}

/** Lets the server start again; nothing when it was not fenced. */
export async function liftFence({ host, directory }: FencePlace): Promise<void> {
  await host.remove(fencePathOf(directory))
}

/** Where the guard lies on hosts with systemd. */
export const GUARD_PATH = '/usr/local/lib/backstay/postgres-guard'

/**
 * psql holds an answer whole before it prints it; with its libraries and the system's locales it
 * needs half of this.
 */
const ASKING_KB_MAX = 512 * 1024
/** A timeline has ten digits. */
const ANSWER_BYTES_MAX = 32

/**
 * The guard. Arguments: data directory, permit, directory of PostgreSQL's programs, role, variables
 * that protect its connections (`PGREQUIREAUTH=scram-sha-256`), then `address port` of each other
 * server. It logs in as the replication role with the password file beside the data directory. An
 * answer that is not proved as those variables demand is none, nor is one that is no timeline:
 * whoever gives it can fill neither memory nor the journal. Exit code 0: may start.
 */
export const GUARD_TEXT = `#!/bin/sh
# Written by Backstay: the next \`backstay up\` writes it anew.
# Keeps an old primary from starting as a second one when nobody asked for the start (at boot, after a crash).
directory=$1 permit=$2 programs=$3 role=$4
shift 4
while :; do case \${1-} in PG*=*) export "$1"; shift ;; *) break ;; esac; done
refuse() { echo "backstay: PostgreSQL in $directory is not started: $*" >&2; exit 1; }
[ ! -e "$directory.fenced" ] || refuse "it is fenced: $(head -c ${FENCE_BYTES_MAX} <"$directory.fenced" | LC_ALL=C tr -d '\\n' | LC_ALL=C tr -c ' -~' '?')"
[ ! -e "$permit" ] || exit 0
[ ! -e "$directory/standby.signal" ] && [ ! -e "$directory/recovery.conf" ] || exit 0
[ $# -gt 0 ] || exit 0
[ -x "$programs/psql" ] || refuse "without psql nobody can be asked who is primary; run: backstay up"
own=$(LC_ALL=C "$programs/pg_controldata" -D "$directory" | sed -n "s/^Latest checkpoint's TimeLineID: *//p")
export PGPASSFILE="$directory.pgpass" PGUSER="$role" PGDATABASE=postgres PGCONNECT_TIMEOUT=3 PGAPPNAME=backstay-guard
export PGOPTIONS='${startOptions()}'
query="SELECT CASE WHEN pg_is_in_recovery() THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),
  (SELECT min_recovery_end_timeline FROM pg_control_recovery())) ELSE 0 END"
ask() {
  ulimit -v ${ASKING_KB_MAX} || :
  exec timeout -k 2 8 "$programs/psql" -XAtqw -h "$1" -p "$2" -c "$query"
}
end=$(($(date +%s) + \${BACKSTAY_GUARD_SECONDS:-60}))
while :; do
  standby=
  for peer; do
    timeline=$(ask "\${peer% *}" "\${peer##* }" 2>/dev/null | head -c ${ANSWER_BYTES_MAX})
    case $timeline in
    ''|*[!0-9]*|???????????*|0?*) ;;
    0) refuse "$peer is primary; run: backstay rejoin" ;;
    *) [ "$timeline" -le "\${own:-0}" ] || refuse "$peer follows timeline $timeline, this directory ends on \${own:-?}; run: backstay rejoin"
      standby=$peer ;;
    esac
  done
  [ -z "$standby" ] || exit 0
  [ "$(date +%s)" -lt "$end" ] || refuse "no other server answers, so nobody can say whether it still is the primary; run: backstay up"
  sleep 2
done
`
