/**
 * A load whose every state is known: after round k the table holds exactly what `stateAfter(k)` says, so a restored copy
 * can be compared row for row with what the primary had at any moment.
 */
import { Client } from 'pg'
import type { TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'

export const ACCOUNTS = 4000
const TOUCHED = 50

/** The moment after a round was committed and before the next began. */
export interface Moment {
  /** Rounds committed. */
  readonly round: number
  /** Of the transaction of this round. */
  readonly xid: number
  readonly time: string
  readonly lsn: string
  /** A restore point made at this moment. */
  readonly name: string
}

/** A running load. */
export interface Load {
  readonly moments: readonly Moment[]
  /** The moment after so many more rounds. */
  after(rounds: number): Promise<Moment>
  stop(): Promise<Moment>
}

/** Makes the table the load works on. */
export async function makeAccounts(pg: TestServer): Promise<void> {
  await pg.query(`CREATE TABLE accounts (id int PRIMARY KEY, balance int, note text);
    INSERT INTO accounts SELECT i, 0, repeat('x', 100) FROM generate_series(1, ${ACCOUNTS}) i`)
}

/** Starts after `rounds` rounds were made by an earlier load on the same data. */
export async function startLoad(pg: TestServer, rounds = 0): Promise<Load> {
  const { host, port, user, password } = pg.connection
  const client = new Client({ host, port, user, password, database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  const moments: Moment[] = []
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    for (let round = rounds + 1; !stopping.signal.aborted; round += 1) {
      moments.push(await makeRound(client, round))
    }
  }
  const running = run()
  running.catch(() => {})
  return {
    moments,
    after: async (count) => {
      const goal = moments.length + count
      await Promise.race([
        running,
        until(`the load to make ${count} rounds`, () => moments.length >= goal),
      ])
      return moments[goal - 1] as Moment
    },
    stop: async () => {
      stopping.abort()
      await running
      await client.end()
      const last = moments.at(-1)
      if (last === undefined) throw new Error('the load was stopped before its first round')
      return last
    },
  }
}

/** Balances of accounts 1 … ACCOUNTS after so many rounds. */
export function stateAfter(rounds: number): number[] {
  const balances = Array.from({ length: ACCOUNTS }, () => 0)
  for (let round = 1; round <= rounds; round += 1) {
    const from = firstOf(round)
    for (let n = 0; n < TOUCHED; n += 1) {
      balances[from + n] = (balances[from + n] ?? 0) - round
      balances[ACCOUNTS - 1 - from - n] = (balances[ACCOUNTS - 1 - from - n] ?? 0) + round
    }
  }
  return balances
}

/** What the table holds. */
export async function balancesIn(pg: TestServer): Promise<number[]> {
  const rows = await pg.query('SELECT balance FROM accounts ORDER BY id')
  return rows.map((row) => Number(row['balance']))
}

async function makeRound(client: Client, round: number): Promise<Moment> {
  const from = firstOf(round) + 1
  const [mirrored, name] = [ACCOUNTS + 1 - from, `round-${round}`]
  const results: unknown = await client.query(`BEGIN;
    UPDATE accounts SET balance = balance - ${round} WHERE id BETWEEN ${from} AND ${from + TOUCHED - 1};
    UPDATE accounts SET balance = balance + ${round} WHERE id BETWEEN ${mirrored - TOUCHED + 1} AND ${mirrored};
    SELECT txid_current()::text AS xid;
    COMMIT`)
  const answers = results as { rows: Record<string, string>[] }[]
  const xid = Number(answers.find((result) => result.rows[0]?.['xid'])?.rows[0]?.['xid'])
  const { rows } = await client.query<Record<string, string>>(
    `SELECT clock_timestamp()::text AS time, pg_current_wal_insert_lsn()::text AS lsn,
      pg_create_restore_point('${name}')::text AS point`,
  )
  return { round, xid, time: rows[0]?.['time'] ?? '', lsn: rows[0]?.['lsn'] ?? '', name }
}

function firstOf(round: number): number {
  return (round * 7919) % (ACCOUNTS / 2 - TOUCHED)
}
