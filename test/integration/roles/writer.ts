/**
 * A client that writes rows one after another to whichever server is the primary, and remembers every row that was
 * acknowledged. It is the judge of all tests that change roles.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { SqlClient, type SqlOptions } from '../../../src/wire/sql-client.ts'
import type { House } from '../cluster/house.ts'

const CONNECT_TIMEOUT_MS = 1000
const STATEMENT_TIMEOUT_MS = 20_000

/** Where a writer finds the servers and the superuser's password; a house is one. */
export interface WriterPlace {
  readonly wanted: {
    readonly servers: readonly { readonly address: string; readonly port: number }[]
    readonly postgres: { readonly superuser: string }
    readonly stateDirectory: string
  }
  /** After this long without an answer it connects anew. Default 20 s. */
  readonly statementTimeoutMs?: number
}

/** Makes the table the writers write to. */
export async function makeTable(house: House, primary = 'db1'): Promise<void> {
  await house.query(primary, 'CREATE TABLE acknowledged (id bigint PRIMARY KEY, writer int)')
}

/** Writes until it is stopped. */
export class Writer implements AsyncDisposable {
  /** Ids of rows whose INSERT was acknowledged. */
  readonly acknowledged: bigint[] = []
  /** The longest time between two acknowledged rows. */
  longestSilenceMs = 0
  readonly #place: WriterPlace
  readonly #number: number
  readonly #pauseMs: number
  readonly #done: Promise<void>
  #next: bigint
  #lastAtMs = performance.now()
  #isStopped = false
  #sql: SqlClient | undefined

  constructor(place: WriterPlace, number: number, pauseMs = 0) {
    this.#place = place
    this.#number = number
    this.#pauseMs = pauseMs
    this.#next = BigInt(number) * 1_000_000_000n
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#write()
        if (this.#pauseMs > 0) await delay(this.#pauseMs)
      } catch {
        await this.#disconnect()
        await delay(5)
      }
    }
    await this.#disconnect()
  }

  async #write(): Promise<void> {
    this.#sql ??= await this.#connect()
    const id = (this.#next += 1n)
    await this.#sql.query('INSERT INTO acknowledged VALUES ($1, $2)', [String(id), this.#number])
    const now = performance.now()
    if (this.acknowledged.length > 0) {
      this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#lastAtMs)
    }
    this.#lastAtMs = now
    this.acknowledged.push(id)
  }

  async #connect(): Promise<SqlClient> {
    const { wanted, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = this.#place
    for (const server of wanted.servers) {
      const options: SqlOptions = {
        host: server.address,
        port: server.port,
        user: wanted.postgres.superuser,
        passfile: join(wanted.stateDirectory, 'passwords'),
        database: 'postgres',
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        statementTimeoutMs,
      }
      const sql = await SqlClient.connect(options).catch(() => undefined)
      if (sql === undefined) continue
      const { standby } = await sql.one<{ standby: boolean }>(
        'SELECT pg_is_in_recovery() AS standby',
      )
      await sql.query('SET search_path = public')
      if (!standby) return sql
      await sql[Symbol.asyncDispose]()
    }
    throw new Error('no server is the primary')
  }

  async #disconnect(): Promise<void> {
    const sql = this.#sql
    this.#sql = undefined
    await sql?.[Symbol.asyncDispose]()
  }
}

/** The rows acknowledged so far that `server` does not have. */
export async function lostRows(
  house: House,
  server: string,
  writers: readonly Writer[],
): Promise<readonly bigint[]> {
  const acknowledged = writers.flatMap((writer) => writer.acknowledged)
  const rows = await house.query(server, 'SELECT id::text AS id FROM acknowledged')
  const there = new Set(rows.map((row) => String(row['id'])))
  return acknowledged.filter((id) => !there.has(String(id)))
}
