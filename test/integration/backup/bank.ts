/**
 * A table that is written all the time and of which it is known what must be true at any moment.
 */
import { Client } from 'pg'
import type { TestServer } from '../../harness/postgres.ts'

/** Money that only moves: the sum never changes, and each transfer leaves a line. */
export async function openBank(pg: TestServer): Promise<void> {
  await pg.query(
    `create table account as select g as id, 1000 as balance, repeat('x', 300) as filler from generate_series(1, 40000) g`,
  )
  await pg.query('create unique index on account (id)')
  await pg.query('create table transfer (id serial, giver int, taker int, amount int)')
}

/** What is true of it at any moment. */
export const BANK = `select (select sum(balance) from account) as money,
  (select count(*) from account) as accounts,
  (select coalesce(sum(amount), 0) from transfer) = (select coalesce(sum(abs(balance - 1000)), 0) / 2 from account) as tallies`

/** Moves money as fast as it goes until it is disposed. */
export function busy(pg: TestServer): AsyncDisposable & { readonly transfers: () => number } {
  const stop = new AbortController()
  let transfers = 0
  const work = async (lane: number): Promise<void> => {
    const client = new Client({ ...pg.connection, database: 'postgres', password: pg.password })
    await client.connect()
    while (!stop.signal.aborted) {
      // Accounts of a lane are used once each, so that the transfers must tally with the balances.
      const giver = transfers * 2 + 1
      transfers += 1
      if (giver + 1 > 40_000) break
      await client.query('begin')
      await client.query('update account set balance = balance - 1 where id = $1', [giver])
      await client.query('update account set balance = balance + 1 where id = $1', [giver + 1])
      await client.query('insert into transfer (giver, taker, amount) values ($1, $2, 1)', [
        giver,
        giver + 1,
      ])
      await client.query(lane === 0 && transfers % 7 === 0 ? 'rollback' : 'commit')
    }
    await client.end()
  }
  const lanes = [work(0), work(1), work(2)]
  return {
    transfers: () => transfers,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await Promise.all(lanes)
    },
  }
}

/** Makes relations, rewrites, cuts and drops them as fast as it goes until it is disposed: files come and go. */
export function churning(pg: TestServer): AsyncDisposable {
  const stop = new AbortController()
  const work = async (): Promise<void> => {
    const client = new Client({ ...pg.connection, database: 'postgres', password: pg.password })
    await client.connect()
    for (let round = 0; !stop.signal.aborted; round += 1) {
      await client.query(
        `create table churn_${round} as select g as id, repeat('y', 200) as filler from generate_series(1, 2000) g`,
      )
      await client.query(`create index on churn_${round} (id)`)
      await client.query(`alter table churn_${round} set (fillfactor = 50)`)
      await client.query(`vacuum full churn_${round}`)
      if (round % 2 === 0) await client.query(`delete from churn_${round} where id > 1000`)
      if (round % 2 === 0) await client.query(`vacuum churn_${round}`)
      if (round % 3 === 1) await client.query(`truncate churn_${round}`)
      if (round % 5 === 4) await client.query('reindex table account')
      if (round > 2) await client.query(`drop table churn_${round - 3}`)
    }
    await client.end()
  }
  const done = work()
  // Whoever disposes meets a failure; until then it must not end the process.
  done.catch(() => undefined)
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await done
    },
  }
}
