/**
 * What a server that is to be adopted says of itself and of who receives from it, as far as it can
 * be that. Nobody knows yet who answers there, and which types its answers have is his word as
 * well. Pure.
 */
import { isIP } from 'node:net'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { AdoptedAnswer } from '../../cluster/adopted.ts'

/** More receive from no server whose standbys one looks for; each is connected to. */
const SENDERS_MAX = 64

type HeardRow = Readonly<Record<string, unknown>>

/** Who receives WAL: `host` is null on a Unix socket. */
export interface Sender {
  readonly host: string | null
  readonly name: string
}

/**
 * The server's own row.
 * @throws {BackstayError} POSTGRES_PROTOCOL
 */
export function heardServer(row: HeardRow, where: string): Omit<AdoptedAnswer, 'settings'> {
  const { inRecovery, systemIdentifier, versionNumber, isSuperuser, isConninfoOverridden } = row
  if (
    typeof systemIdentifier === 'string' &&
    /^\d{1,20}$/.test(systemIdentifier) &&
    typeof versionNumber === 'number' &&
    Number.isSafeInteger(versionNumber) &&
    typeof inRecovery === 'boolean' &&
    typeof isSuperuser === 'boolean' &&
    typeof isConninfoOverridden === 'boolean'
  ) {
    return { inRecovery, systemIdentifier, versionNumber, isSuperuser, isConninfoOverridden }
  }
  throw noServer(where, 'what it says of itself')
}

/** Its settings by name. @throws {BackstayError} POSTGRES_PROTOCOL */
export function heardSettings(
  rows: readonly HeardRow[],
  where: string,
): ReadonlyMap<string, string> {
  return new Map(
    rows.map(({ name, value }) => {
      // PostgreSQL hides some values from who may not see them.
      if (typeof name === 'string' && (typeof value === 'string' || value === null)) {
        return [name, value ?? '']
      }
      throw noServer(where, 'one of its settings')
    }),
  )
}

/** Who receives from it. @throws {BackstayError} POSTGRES_PROTOCOL */
export function heardSenders(rows: readonly HeardRow[], where: string): readonly Sender[] {
  if (rows.length > SENDERS_MAX) throw noServer(where, `that ${rows.length} receive WAL from it`)
  return rows.map(({ host, name }) => {
    const isAddress = host === null || (typeof host === 'string' && isIP(host) !== 0)
    if (isAddress && typeof name === 'string') return { host, name }
    throw noServer(where, 'who receives WAL from it')
  })
}

function noServer(where: string, what: string): BackstayError {
  return new BackstayError(
    'POSTGRES_PROTOCOL',
    `Cannot adopt ${where}: no PostgreSQL answers so: ${what}`,
    { hint: 'Is it the server it should be, and is nobody in the middle?' },
  )
}
