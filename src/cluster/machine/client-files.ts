/**
 * Barman's clients on the database servers' machines: which files they are there. Pure.
 */
import { posix } from 'node:path'
import { archivesOverSsh } from './way-files.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { ARCHIVE_CLIENT, RESTORE_CLIENT, WAYS_LIST } from './client-texts.ts'
import { PROGRAMS, SEAT_MARK, type SeatFile } from './seat-files.ts'

/** Whether the server's machine gets the clients: they go through its way. */
export function hasClients(wanted: ClusterWanted, server: ServerWanted): boolean {
  return wanted.backup?.barman === true && archivesOverSsh(wanted, server)
}

/** The entry by which the clients find the server's way. */
export function wayEntryOf(cluster: string, server: string): string {
  return posix.join(WAYS_LIST, cluster, server)
}

/** The files as they have to be; the entry last, because the clients are ready with it. */
export function clientFiles(cluster: string, server: ServerWanted): readonly SeatFile[] {
  const program = (name: string, text: string): SeatFile => ({
    path: posix.join(PROGRAMS, name),
    content: `#!/bin/sh\n${SEAT_MARK}\n${text}`,
    mode: 0o755,
  })
  return [
    program('barman-wal-archive', ARCHIVE_CLIENT),
    program('barman-wal-restore', RESTORE_CLIENT),
    {
      path: wayEntryOf(cluster, server.name),
      content: `${server.directory}\n${SEAT_MARK}\n`,
      mode: 0o644,
    },
  ]
}
