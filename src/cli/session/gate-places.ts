/**
 * How much one database server may have going on in the repository at a time: each connection is a
 * process here, and each push holds a segment in memory. Places are each server's own: whoever has
 * one server's key keeps nobody else out with it.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { type HeldLock, takeLock } from '../../repository/lock.ts'

/** What a place is for. */
export type PlaceKind = 'read' | 'get' | 'push'

/**
 * Keys from before keys had names share the places of a server that cannot be: names begin with a
 * letter.
 */
const UNNAMED = '_'

const PLACES: Readonly<Record<PlaceKind, { most: number; full: string; hint: string }>> = {
  read: {
    most: 16,
    full: 'reads the repository over 16 connections already',
    hint: 'Try again when some have ended; a restore needs one for each of its threads.',
  },
  get: {
    most: 8,
    full: 'fetches 8 WAL files at the same time already',
    hint: 'A recovery tries again by itself; it fetches one file after the other.',
  },
  push: {
    most: 4,
    full: 'pushes 4 WAL files at the same time already',
    hint: 'PostgreSQL tries again by itself; it archives one file after the other.',
  },
}

/**
 * Takes one of the server's places, until it is disposed of.
 * @throws {BackstayError} REPOSITORY_LOCKED when none is free
 */
export async function takePlace(
  repository: ClusterRepository,
  kind: PlaceKind,
  server: string | undefined,
): Promise<HeldLock> {
  const { most, full, hint } = PLACES[kind]
  const first = Math.floor(Math.random() * most)
  const purpose = server === undefined ? 'a database server' : `database server "${server}"`
  for (let tried = 0; tried < most; tried += 1) {
    const name = `gate-${kind}-${server ?? UNNAMED}-${(first + tried) % most}`
    try {
      return await takeLock(repository, { name, mode: 'exclusive', purpose })
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    }
  }
  const who = server === undefined ? 'A server without a name' : `Server "${server}"`
  throw new BackstayError('REPOSITORY_LOCKED', `${who} ${full}`, { hint })
}
