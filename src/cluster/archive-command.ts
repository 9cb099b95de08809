/**
 * The texts of `archive_command`: into a local directory, or into the repository, here or over ssh.
 * A segment appears whole and synced or not at all, and nothing is replaced: the same content again
 * is fine, other content is an error. `cp` alone promises none of this.
 */
import {
  archivesOverSsh,
  backupProgram,
  WAY_HOST,
  wayDirectoryOf,
  wayPaths,
} from './machine/way-files.ts'
import type { ClusterWanted, ServerWanted } from './wanted.ts'

/** The archive_command of `server`; undefined when the cluster file leaves archiving alone. */
export function archiveCommandWanted(
  wanted: ClusterWanted,
  server: ServerWanted,
): string | undefined {
  const { replication, backup } = wanted
  const { archiveDirectory, archivesToRepository } = replication
  if (archivesToRepository !== true || backup === undefined) {
    return archiveDirectory && archiveCommandFor(archiveDirectory, server.name)
  }
  if (archivesOverSsh(wanted, server)) {
    return sshArchiveCommand(wayPaths(wayDirectoryOf(server.directory)).config)
  }
  const place = ['--repository', backup.repository, '--cluster', wanted.name]
  const words = [...backupProgram(backup), 'wal', 'push', ...place]
  return `${words.map((word) => shellQuote(escapePercent(word))).join(' ')} "%p" || exit 1`
}

/**
 * Pushes through the gate of the backup server. The size goes ahead of the content, so that a
 * connection that breaks off is no end of file. ssh's own failures (255) would end PostgreSQL's
 * archiver: from 126 on it takes exit codes for a shell that failed.
 */
function sshArchiveCommand(config: string): string {
  const ssh = `ssh -F ${shellQuote(escapePercent(config))} ${WAY_HOST}`
  return `${ssh} "wal push %f $(wc -c < "%p")" < "%p" || exit 1`
}

/**
 * One line of POSIX sh for `archive_command`. Exit code 0 only when the segment is durable in
 * `directory`. The temporary name belongs to the server, so a try that died is overwritten by the
 * next, never left behind.
 */
export function archiveCommandFor(directory: string, server: string): string {
  const folder = shellQuote(escapePercent(directory))
  const temporary = `${folder}/.%f.${shellQuote(escapePercent(server))}`
  const copy = [
    `cp "$p" ${temporary}`,
    `sync ${temporary}`,
    // A hard link fails when the name is taken, where mv would replace.
    `ln ${temporary} "$d"`,
    `rm -f ${temporary}`,
    `sync ${folder}`,
  ].join(' && ')
  return [
    `p="%p" d=${folder}/%f`,
    `if [ ! -e "$d" ]; then { ${copy}; } || { rm -f ${temporary}; exit 1; }`,
    `elif cmp -s "$p" "$d"; then sync "$d" ${folder}`,
    `else echo "archive already holds %f with other content" >&2; exit 1`,
    'fi',
  ].join('; ')
}

function shellQuote(text: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function escapePercent(text: string): string {
  return text.replaceAll('%', '%%')
}
