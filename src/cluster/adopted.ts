/**
 * A cluster that somebody else built, as it was found over SQL: enough to write a cluster file that
 * describes it. Plain data.
 */
import type { PostgresMajor } from '../postgres/version.ts'
import { slotsNeededFor, sendersNeededFor } from './settings.ts'

/** One server of it. */
export interface AdoptedServer {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly directory: string
  /** The one that Backstay uses. */
  readonly socketDirectory: string | undefined
  /** All of them as the server has them, where it has several: the others' clients keep theirs. */
  readonly socketDirectories?: string
  /** Where they do not lie in the directory. */
  readonly configFile?: string
  readonly hbaFile?: string
  readonly isPrimary: boolean
}

/** The cluster as its servers describe it: what all of them share, and each of them. */
export interface AdoptedCluster {
  readonly systemIdentifier: string
  readonly major: PostgresMajor
  readonly superuser: string
  readonly segmentBytes: number
  readonly hasChecksums: boolean
  readonly authentication: 'scram-sha-256' | 'md5'
  readonly walKeepBytes: number
  /** Undefined: no limit, or a version that has none. */
  readonly slotKeepBytes: number | undefined
  readonly servers: readonly AdoptedServer[]
  /** Settings Backstay would set otherwise, as they are: nothing has to restart then. */
  readonly parameters: Readonly<Record<string, string>>
  /** What the operator should know, one sentence each. */
  readonly notes: readonly string[]
}

/** A server's answer to `look-adopted.ts`. */
export interface AdoptedAnswer {
  readonly inRecovery: boolean
  readonly systemIdentifier: string
  readonly versionNumber: number
  readonly isSuperuser: boolean
  /** Whether primary_conninfo or primary_slot_name stands in postgresql.auto.conf. */
  readonly isConninfoOverridden: boolean
  /** Whether the superuser's password is stored for md5. */
  readonly hasMd5Password?: boolean
  readonly settings: ReadonlyMap<string, string>
}

/**
 * Settings of ours that the running ones may stand for. A server keeps them through the cluster
 * file, so that taking it over changes as little as possible; most of them need a restart.
 */
const KEPT = [
  'cluster_name',
  'listen_addresses',
  'wal_level',
  'wal_log_hints',
  'max_wal_senders',
  'max_replication_slots',
  'min_wal_size',
  'max_wal_size',
  'logging_collector',
  'log_directory',
  'log_filename',
  'log_truncate_on_rotation',
  'log_rotation_age',
  'log_rotation_size',
  'log_line_prefix',
] as const

/** The settings to keep, of those that a cluster of Backstay may have. Pure. */
export function keptParameters(
  answer: AdoptedAnswer,
  need: { readonly servers: number; readonly hasChecksums: boolean },
): Readonly<Record<string, string>> {
  const entries = KEPT.flatMap((name): [string, string][] => {
    const value = answer.settings.get(name)
    return value === undefined || !mayKeep(name, value, need) ? [] : [[name, value]]
  })
  return Object.fromEntries(entries)
}

function mayKeep(
  name: string,
  value: string,
  need: { readonly servers: number; readonly hasChecksums: boolean },
): boolean {
  if (name === 'wal_level') return value !== 'minimal'
  if (name === 'wal_log_hints') return value === 'on' || need.hasChecksums
  const size = { servers: need.servers, hasBackup: true }
  if (name === 'max_wal_senders') return Number(value) >= sendersNeededFor(size)
  if (name === 'max_replication_slots') return Number(value) >= slotsNeededFor(size)
  return true
}

const NAME = /^[a-z][a-z0-9_-]{0,39}$/

/**
 * Names for servers: what they call themselves where that is a name and nobody else's, else db1,
 * db2, … Pure.
 */
export function nameServers(wishes: readonly (string | undefined)[]): readonly string[] {
  const taken = new Set<string>()
  return wishes.map((wish, index) => {
    const name = wish !== undefined && NAME.test(wish) && !taken.has(wish) ? wish : undefined
    const given = name ?? freeName(index + 1, [...taken, ...wishes])
    taken.add(given)
    return given
  })
}

function freeName(number: number, taken: readonly (string | undefined)[]): string {
  const name = `db${number}`
  return taken.includes(name) ? freeName(number + 1, taken) : name
}
