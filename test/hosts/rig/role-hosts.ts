/**
 * What tests that change roles on the three hosts share: who is primary, a client that writes, and the claim that nothing it was
 * promised is lost.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { until } from '../../harness/until.ts'
import { comesInOrder, json, said } from './answers.ts'
import { startBuiltCluster } from './built-cluster.ts'
import { type ClusterFileOptions, threeServers } from './cluster-file.ts'
import type { HostName, Operated, TestHosts } from './hosts.ts'
import type { HostWriter } from './writer.ts'

const SETTLE_TIMEOUT_MS = 300_000

/** Commits wait for the standby or the backup server. */
export const SYNCHRONOUS: ClusterFileOptions = {
  more: '  synchronous: true\nreplication: { synchronous: { standbys: 1 } }\n',
}

/** `1234` → `1.2 s` */
export function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`
}

/** Prints median and maximum. */
export function tell(t: TestContext, what: string, durations: readonly number[]): void {
  const sorted = [...durations].sort((one, next) => one - next)
  const middle = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const most = sorted.at(-1) ?? Number.NaN
  t.diagnostic(`${what}: median ${seconds(middle)}, most ${seconds(most)} (${sorted.length})`)
}

/** The cluster of the three hosts; `db1` is primary at first. */
export class RoleHosts implements AsyncDisposable {
  readonly hosts: TestHosts
  /** Name of the server that is to be primary. */
  primary = 'db1'
  #writers = 0

  private constructor(hosts: TestHosts) {
    this.hosts = hosts
  }

  /** Starts the built cluster, makes of it what the options say, and a table for writers. */
  static async start(options: ClusterFileOptions = {}): Promise<RoleHosts> {
    const hosts = await startBuiltCluster()
    const roles = new RoleHosts(hosts)
    try {
      hosts.writeClusterFile(threeServers(options))
      await roles.succeeds('up')
      await roles.isInOrder()
      hosts.sql('primary', 'CREATE TABLE acknowledged (id bigint PRIMARY KEY, writer int)')
      return roles
    } catch (error) {
      await hosts[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Name of the server that is not. */
  get standby(): string {
    return this.primary === 'db1' ? 'db2' : 'db1'
  }

  /** The machine of a server. */
  hostOf(server: string): HostName {
    return server === 'db1' ? 'primary' : 'standby'
  }

  /** Runs a command of Backstay. @returns the JSON it prints @throws when it ends with another code than 0 */
  async succeeds(...words: readonly string[]): Promise<Operated & { readonly result: unknown }> {
    const ended = await this.hosts.backstay(...words, '--json')
    return { ...ended, result: json(ended) }
  }

  /**
   * Types the switchover again. As long as the standby does not stream again yet, it is refused for that; one that was left unfinished, because
   * nobody could tell whether somebody else had changed roles, may be taken back first.
   */
  async switchesAgain(): Promise<Operated> {
    const to = this.standby
    const again = await until(
      `"${to}" to be taken for a switchover`,
      async () => {
        const ended = await this.hosts.backstay('switchover', '--to', to, '--json')
        if (ended.code === 0) return ended
        // A session of a command whose way was cut holds the lock until the server hears that it is gone.
        assert.match(
          ended.stderr,
          /"NOT_READY".*it does not stream|"REPOSITORY_LOCKED"|"TIMEOUT".*was taken back/,
          said(ended),
        )
        return undefined
      },
      SETTLE_TIMEOUT_MS,
    )
    this.primary = (json(again) as { primary: string }).primary
    return again
  }

  /** A writer that has begun. */
  async startWriter(): Promise<HostWriter> {
    const writer = this.hosts.startWriter((this.#writers += 1))
    await this.goesOn(writer)
    await writer.measure()
    return writer
  }

  /** Waits until rows are acknowledged again. */
  async goesOn(writer: HostWriter): Promise<void> {
    const { count } = await writer.report()
    const isWriting = async (): Promise<boolean> => (await writer.report()).count > count + 5
    await until('rows to be acknowledged', isWriting, SETTLE_TIMEOUT_MS)
  }

  /** Stops the writer: every acknowledged row is on the primary. Says how many. */
  async losesNothing(t: TestContext, writer: HostWriter): Promise<void> {
    await this.goesOn(writer)
    const rows = await writer.rows()
    const query = 'SELECT id FROM acknowledged'
    const there = new Set(this.hosts.sql(this.hostOf(this.primary), query).split('\n'))
    const lost = rows.filter((id) => !there.has(id))
    t.diagnostic(`${rows.length} rows acknowledged, ${lost.length} lost`)
    assert.deepEqual(lost, [])
  }

  /** Standby and backup server stream from the one primary that is expected. */
  async isInOrder(): Promise<void> {
    await comesInOrder(this.hosts, this.primary)
  }

  /** Moves a server's directory to a file system of its own that is soon full; it is stopped for that and started again. */
  moveToSmallDisk(server: string, sizeMiB = 400): void {
    const data = '/var/lib/postgresql/15/shop'
    const unit = `backstay-postgres-shop-${server}`
    const lines = [
      `systemctl stop ${unit}`,
      `mv ${data} ${data}.moved`,
      `install -d -m 700 -o postgres -g postgres ${data}`,
      `mount -t tmpfs -o size=${sizeMiB}M,mode=700,uid=$(id -u postgres),gid=$(id -g postgres) small ${data}`,
      `cp -a ${data}.moved/. ${data}/`,
      `rm -rf ${data}.moved`,
      `systemctl start ${unit}`,
    ]
    this.hosts.host(this.hostOf(server)).run(lines.join(' && '))
  }

  /** Whether anything listens where a server's clients connect. */
  serves(server: string): boolean {
    const place = '-h 127.0.0.1 -p 5432'
    return this.hosts.host(this.hostOf(server)).tryRun(`pg_isready -q ${place}`).code === 0
  }

  /** Everything a command said. */
  said(ended: Operated): string {
    return said(ended)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hosts[Symbol.asyncDispose]()
  }
}
