/**
 * What the tests of role changes share: claims about a whole cluster.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClusterContext, clusterContext } from '../../../src/cluster/context.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { instanceOf } from '../../../src/build/steps/act-context.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ClusterWanted, ServerWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { startServer, stopServer } from '../../../src/host/postgres-control.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import type { FailoverOptions } from '../../../src/failover/failover.ts'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  claimCluster,
  type ClusterRepository,
  createRepository,
} from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { receiveWal } from '../../../src/wal/receiver.ts'
import { until } from '../../harness/until.ts'
import { type House, openHouse } from '../cluster/house.ts'

/** A failover to which the operator says nothing. */
export const NOTHING: FailoverOptions = {
  allowDataLoss: false,
  primaryIsDead: false,
  planOnly: false,
}
/** One of which he says that the primary is dead, and nothing else. */
export const DEAD: FailoverOptions = { ...NOTHING, primaryIsDead: true }

/** The same house with commits that wait for one standby or the backup server. */
export function synchronous(house: House): House {
  const wanted: ClusterWanted = {
    ...house.wanted,
    replication: { ...house.wanted.replication, synchronousStandbys: 1 },
    backup: house.wanted.backup && { ...house.wanted.backup, synchronous: true },
  }
  return openHouse(house.path, wanted, async () => undefined)
}

/** `up` finds nothing to do, has nothing to say, and replication from `primary` is proved. */
export async function isInOrder(house: House, primary: string): Promise<void> {
  const { done, problems, primary: found } = await bringUp(house.context())
  const ids = done.map(({ id }) => id)
  assert.deepEqual({ ids, problems, found }, { ids: [], problems: [], found: primary })
  const proof = await verifyCluster(house.context())
  assert.ok(proof.isProved, JSON.stringify(proof))
}

/** Names of the servers that are primary now. */
export async function primariesOf(house: House): Promise<readonly string[]> {
  const names: string[] = []
  for (const { name } of house.wanted.servers) {
    const rows = await house.query(name, 'SELECT pg_is_in_recovery() AS standby').catch(() => [])
    if (rows[0]?.['standby'] === false) names.push(name)
  }
  return names
}

/** Rejects with this code. */
export function withCode(code: string, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isBackstayError(error), String(error))
    assert.equal(error.code, code, error.message)
    if (text !== undefined) assert.match(error.message, text)
    return true
  }
}

/** Pid of a server's postmaster. */
export async function postmasterOf(house: House, server: string): Promise<number> {
  const wanted = house.wanted.servers.find(({ name }) => name === server)
  const text = await readFile(`${wanted?.directory}/postmaster.pid`, 'utf8')
  return Number(text.split('\n')[0])
}

/** Stops a standby in order; what is written from here on it does not get. */
export async function stopStandby(house: House, name: string): Promise<() => Promise<void>> {
  const context = house.context()
  const server = house.wanted.servers.find((each) => each.name === name) as ServerWanted
  const instance = await instanceOf(context, server)
  await stopServer(instance, { timeoutMs: 30_000 })
  return async () => {
    await startServer(instance, { timeoutMs: 30_000, logFile: `${server.directory}.log` })
  }
}

/** Ends a postmaster as a crash does, and waits until its children are gone. */
export async function crash(house: House, server: string): Promise<void> {
  const pid = await postmasterOf(house, server)
  process.kill(pid, 'SIGKILL')
  const port = house.wanted.servers.find(({ name }) => name === server)?.port
  await until(`${server} to be gone`, async () => {
    const status = await clusterStatus(house.context())
    return status.servers.find((each) => each.port === port)?.state === 'stopped'
  })
}

/** A context in which the host of `server` does not answer. */
export function without(house: House, server: string): ClusterContext {
  const home = new LocalHost('localhost')
  const wanted: ClusterWanted = {
    ...house.wanted,
    servers: house.wanted.servers.map((each) =>
      each.name === server ? { ...each, host: { ...each.host, address: 'gone' } } : each,
    ),
  }
  return clusterContext({
    wanted,
    home,
    openHost: async ({ address }) => {
      if (address !== 'gone') return home
      throw new BackstayError('HOST_UNREACHABLE', 'Cannot reach host "gone": no route to host')
    },
    clock: systemClock,
    signal: new AbortController().signal,
  })
}

/** The WAL receiver of the house's backup server, in this process. */
export class Vault implements AsyncDisposable {
  readonly repository: ClusterRepository
  readonly #abort = new AbortController()
  readonly #done: Promise<void>

  private constructor(house: House, repository: ClusterRepository) {
    this.repository = repository
    const { wanted } = house
    const backup = wanted.backup as NonNullable<typeof wanted.backup>
    this.#done = receiveWal(
      {
        repository,
        servers: wanted.servers.map((server) => ({
          host: server.address,
          port: server.port,
          user: backup.streamRole,
          passfile: house.context().state.passfile,
          applicationName: backup.name,
        })),
        slot: backup.slot,
        createSlot: true,
        clock: systemClock,
        onEvent: () => undefined,
      },
      this.#abort.signal,
    )
  }

  static async open(house: House): Promise<Vault> {
    const { wanted } = house
    const directory = wanted.backup?.repository ?? ''
    const store = new DiskStore(directory)
    await createRepository(store, systemClock)
    const identity = await house.context().state.readIdentity()
    const repository = await claimCluster({
      store,
      name: wanted.name,
      server: {
        systemIdentifier: identity?.systemIdentifier ?? '',
        major: wanted.postgres.version,
        segmentBytes: wanted.postgres.segmentBytes,
      },
      clock: systemClock,
    })
    return new Vault(house, repository)
  }

  /** Waits until it has synced everything up to `timeline` and `lsn`. */
  async has(timeline: number, lsn: bigint): Promise<void> {
    const { store, names } = this.repository
    const spool = `${store.location}/${names.spool}`
    await until(`WAL of timeline ${timeline} on the backup server`, async () => {
      const status = await readReceiverStatus(spool)
      return status?.timeline === timeline && (status.flushLsn ?? 0n) >= lsn
    })
  }

  /** What a receiver does with WAL that nothing will follow: partial objects instead of spool files. Only once it is disposed. */
  async shelveSpool(): Promise<void> {
    const { store, names, wal } = this.repository
    const spool = join(store.location, names.spool)
    for (const file of await readdir(spool)) {
      const segment = /^[0-9A-F]{24}/.exec(file)?.[0]
      if (segment === undefined) continue
      await wal.putPartial(segment, await readFile(join(spool, file)))
      await rm(join(spool, file))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#done
  }
}
