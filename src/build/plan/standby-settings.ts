/**
 * What makes a server follow the primary: backstay-standby.conf with standby.signal (12+),
 * recovery.conf (up to 11).
 */
import { shellQuote } from '../../host/shell-quote.ts'
import { formatConfLine } from '../../postgres/conf-file.ts'
import { formatConninfo } from '../../postgres/conninfo.ts'
import { formatRecoveryConf } from '../../postgres/recovery-conf.ts'
import { versionFacts } from '../../postgres/version.ts'
import { passfilePathOf, slotNameOf } from '../../cluster/names.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
import { protectionWords } from '../../cluster/protection.ts'
import { SERVICE_COMMAND } from '../../cluster/machine/service-source.ts'
import { wayDirectoryOf, wayPaths } from '../../cluster/machine/way-files.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'

const CONNECT_TIMEOUT_SECONDS = 10
const HEADER = [
  '# Managed by Backstay; do not edit: the next `backstay up` writes it anew.',
  '# Read on every start; without meaning while the server is a primary.',
]

/**
 * How `standby` connects to `primary`: with its own name, the replication role and a password file,
 * never a password.
 */
function primaryConninfo(
  wanted: ClusterWanted,
  standby: ServerWanted,
  primary: ServerWanted,
): string {
  return formatConninfo({
    host: primary.address,
    port: primary.port,
    user: wanted.replication.role,
    passfile: passfilePathOf(standby.directory),
    application_name: standby.name,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    ...protectionWords(wanted),
  })
}

/** The content of the file that makes `standby` follow `primary`. */
export function standbyFileWanted(
  wanted: ClusterWanted,
  standby: ServerWanted,
  primary: ServerWanted,
): string {
  const settings = {
    primary_conninfo: primaryConninfo(wanted, standby, primary),
    primary_slot_name: slotNameOf(standby.name),
    recovery_target_timeline: 'latest',
    ...restoreSettings(wanted, standby),
  }
  if (versionFacts(wanted.postgres.version).recoveryConf) {
    return formatRecoveryConf({ standby_mode: 'on', ...settings })
  }
  const lines = Object.entries(settings).map(([name, value]) => formatConfLine(name, value))
  return [...HEADER, '', ...lines, ''].join('\n')
}

/**
 * A standby that came from a backup fetches the WAL after it from the repository, as long as a file
 * says so: until it streams. Later that would only hold up a promotion, which asks for files that
 * are nowhere. A code above 125 would stop a server that can stream, so every failure is 1.
 */
function restoreSettings(
  { name: cluster }: ClusterWanted,
  standby: ServerWanted,
): { readonly restore_command?: string } {
  if (standby.clonesFromBackup !== true) return {}
  const way = wayDirectoryOf(standby.directory)
  const place = { way }
  const text = restoreCommand({ program: SERVICE_COMMAND, place, cluster, standby: true })
  const isWished = `[ -e ${shellQuote(wayPaths(way).fetching).replaceAll('%', '%%')} ]`
  return { restore_command: `${isWished} && (${text}) || exit 1` }
}
