/**
 * A row with a token nobody has seen before, written on the primary and looked for on the standbys.
 */
import { type BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { hasToken, writeToken } from './canary-table.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const POLL_MS = 2

/** A row to write on `primary`, and the standbys on which it is waited for. */
export interface Canary {
  readonly primary: string
  readonly standbys: readonly string[]
  readonly token: string
  readonly timeoutMs: number
}

/** How a canary fared on one standby. */
export interface Sighting {
  readonly delayMs: number | undefined
  readonly reason: string | undefined
}

/**
 * Writes the row, then watches every standby at once until it is there or `timeoutMs` passed. Name
 * of the standby → how it fared.
 * @throws NOT_READY when somebody else's table has the name; what connecting to the primary throws.
 */
export async function sendCanary(
  context: ClusterContext,
  canary: Canary,
): Promise<ReadonlyMap<string, Sighting>> {
  const { primary, standbys, token, timeoutMs } = canary
  // Connected before the row is written, so that the delay measured is replication's alone.
  const readers = await Promise.all(standbys.map(async (standby) => openReader(context, standby)))
  try {
    await using sql = await openAdminSql(context, wantedServer(context.wanted, primary))
    await writeToken(sql, token)
    const writtenAtMs = context.clock.monotonic()
    const sightings = readers.map(async ({ name, reader }): Promise<[string, Sighting]> => {
      if (!('query' in reader)) return [name, { delayMs: undefined, reason: reader.message }]
      return [name, await watch(context, reader, { token, timeoutMs, writtenAtMs })]
    })
    return new Map(await Promise.all(sightings))
  } finally {
    for (const { reader } of readers) {
      if ('query' in reader) await reader[Symbol.asyncDispose]()
    }
  }
}

async function openReader(
  context: ClusterContext,
  name: string,
): Promise<{ readonly name: string; readonly reader: SqlClient | BackstayError }> {
  try {
    return { name, reader: await openAdminSql(context, wantedServer(context.wanted, name)) }
  } catch (error) {
    return { name, reader: factOf(error) }
  }
}

async function watch(
  context: ClusterContext,
  reader: SqlClient,
  canary: { readonly token: string; readonly timeoutMs: number; readonly writtenAtMs: number },
): Promise<Sighting> {
  const { clock, signal } = context
  const { token, timeoutMs, writtenAtMs } = canary
  // One that is behind may still show what was removed on the primary.
  let foreign: string | undefined
  const look = async (): Promise<boolean> => {
    foreign = undefined
    try {
      return await hasToken(reader, token)
    } catch (error) {
      if (!isBackstayError(error, 'NOT_READY')) throw error
      foreign = error.message
      return false
    }
  }
  try {
    const isSeen = await until(look, { clock, signal, timeoutMs, intervalMs: POLL_MS })
    const delayMs = clock.monotonic() - writtenAtMs
    return isSeen === true
      ? { delayMs, reason: undefined }
      : { delayMs: undefined, reason: foreign ?? `it was not there after ${timeoutMs / 1000} s` }
  } catch (error) {
    return { delayMs: undefined, reason: factOf(error).message }
  }
}
