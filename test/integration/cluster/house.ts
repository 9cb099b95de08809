/**
 * A cluster of real servers on loopback for tests: a wish with ports and directories of its own, and the context to work on it.
 */
import { join } from 'node:path'
import {
  type ClusterContext,
  clusterContext,
  type ClusterEvent,
} from '../../../src/cluster/context.ts'
import type { ClusterWanted, ServerWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { type SqlOptions, withSql } from '../../../src/wire/sql-client.ts'
import { embeddedBinaries } from '../../harness/binaries.ts'
import { claimPorts } from '../../harness/ports.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** What a test may say about its cluster. */
export interface HouseOptions {
  readonly major: PostgresMajor
  readonly standbys?: number
  readonly archive?: boolean
  readonly backup?: boolean
  readonly authentication?: 'scram-sha-256' | 'md5'
  readonly parameters?: Readonly<Record<string, string>>
  readonly access?: readonly string[]
}

/** The cluster of a test; disposing it kills its servers and removes everything. */
export interface House extends AsyncDisposable {
  readonly path: string
  readonly wanted: ClusterWanted
  readonly events: ClusterEvent[]
  /** A context, with a changed wish when given. */
  context(change?: ContextChange): ClusterContext
  /** SQL as superuser, through the server's address. */
  query(server: string, sql: string, database?: string): Promise<Record<string, unknown>[]>
}

/** What may differ from one operation to the next. */
export interface ContextChange {
  readonly wanted?: ClusterWanted
  readonly signal?: AbortSignal
  readonly crashPoint?: (name: string) => Promise<void>
}

const MEMORY = {
  shared_buffers: '16MB',
  max_connections: '30',
  fsync: 'on',
  // Nothing stays in /dev/shm after a server that was killed.
  dynamic_shared_memory_type: 'mmap',
}

export async function makeHouse(options: HouseOptions): Promise<House> {
  const base = temporaryDirectory()
  const count = 1 + (options.standbys ?? 1)
  const ports = await claimPorts(count)
  const wanted = houseWanted(options, base.path, ports)
  return openHouse(base.path, wanted, async () => base[Symbol.asyncDispose]())
}

/** The house of a wish whose directories exist already; `release` is what disposing it does. */
export function openHouse(
  path: string,
  wanted: ClusterWanted,
  release: () => Promise<void>,
): House {
  const events: ClusterEvent[] = []
  const home = new LocalHost('localhost')
  const context = (change: ContextChange = {}): ClusterContext =>
    clusterContext({
      wanted: change.wanted ?? wanted,
      home,
      openHost: async () => home,
      clock: systemClock,
      signal: change.signal ?? new AbortController().signal,
      report: (event) => void events.push(event),
      ...(change.crashPoint === undefined ? {} : { crashPoint: change.crashPoint }),
    })
  return {
    path,
    wanted,
    events,
    context,
    query: async (name, text, database = 'postgres') => {
      const server = wanted.servers.find((candidate) => candidate.name === name) as ServerWanted
      const options: SqlOptions = {
        host: server.address,
        port: server.port,
        user: wanted.postgres.superuser,
        passfile: join(wanted.stateDirectory, 'passwords'),
        database,
      }
      return await withSql(options, async (sql) => {
        await sql.query('SET search_path = public')
        return await sql.query(text)
      })
    },
    [Symbol.asyncDispose]: release,
  }
}

function houseWanted(options: HouseOptions, path: string, ports: readonly number[]): ClusterWanted {
  const { major } = options
  const host = {
    address: '127.0.0.1',
    local: true,
    ssh: { user: undefined, port: undefined, sudo: false },
  }
  return {
    name: 'shop',
    stateDirectory: join(path, 'state'),
    postgres: {
      version: major,
      binaries: embeddedBinaries(major).directory,
      osUser: unprivilegedUser.name,
      superuser: 'postgres',
      locale: 'C',
      encoding: 'UTF8',
      checksums: true,
      segmentBytes: 16 * 1024 * 1024,
      parameters: { ...MEMORY, ...options.parameters },
      access: options.access ?? [],
      authentication: options.authentication ?? 'scram-sha-256',
    },
    servers: ports.map((port, index) => ({
      name: `db${index + 1}`,
      role: index === 0 ? 'primary' : 'standby',
      host,
      address: '127.0.0.1',
      port,
      directory: join(path, `db${index + 1}`),
      socketDirectory: join(path, 's'),
      tablespaceMapping: index === 0 ? {} : { [join(path, 'ts')]: join(path, `ts${index + 1}`) },
      parameters: {},
    })),
    replication: {
      role: 'backstay_replication',
      connectionLimit: 10,
      walKeepBytes: 64 * 1024 * 1024,
      maxSlotWalKeepBytes: 1024 * 1024 * 1024,
      synchronousStandbys: undefined,
      archiveDirectory: options.archive === true ? join(path, 'archive') : undefined,
    },
    backup:
      options.backup === false
        ? undefined
        : {
            name: 'vault',
            host,
            repository: join(path, 'vault'),
            backupRole: 'backstay_backup',
            streamRole: 'backstay_stream',
            slot: 'backstay_vault',
            synchronous: false,
            schedule: { backup: undefined, verify: undefined },
            retention: { windowMs: undefined, count: undefined, minimum: 1 },
            read: 'auto',
            compressionLevel: 1,
            rateLimitBytes: undefined,
          },
  }
}
