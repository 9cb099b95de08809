/**
 * One change of roles at a time, from wherever it is typed: the lock in the state directory is not
 * seen from another machine. An advisory lock is held on every server that answers, and goes with
 * the session of whoever held it. A primary that stops lets go of it; the standbys do not, also not
 * when they are promoted.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { type AnsweringServer, isAnswering } from '../cluster/replication.ts'
import { steadyContext } from './steady.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Any number, the same for every Backstay: `backstay` in ASCII, cut to what fits. */
const KEY = 0x6261636b
/**
 * A holder that is gone lets go after so long. The server ends a session in whose transaction
 * nothing was said meanwhile: of a connection that comes through ssh it sees the end on its own
 * machine, which stays open for hours when the operator's machine has no power any more.
 */
const SILENCE_MS = 30_000
/** Of a server whose way is cut. */
const ANSWER_TIMEOUT_MS = 10_000
/** So many times within that the holder says something. */
const BEATS = 6

/** One row for each who has the lock or waits for it, as far as it is not ours. */
interface Locked {
  readonly isMine: boolean
  readonly inRecovery: boolean
  readonly isHolder: boolean | null
  /** Null for a prepared transaction. */
  readonly pid: number | null
  readonly isSuperuser: boolean | null
  readonly since: string | null
  readonly address: string | null
}

const OF_KEY = `l.locktype = 'advisory' AND l.classid = 0 AND l.objid = ${KEY} AND l.objsubid = 1
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

const LOCK_QUERY = `
WITH mine AS MATERIALIZED (SELECT pg_try_advisory_lock(${KEY}) AS got)
SELECT mine.got AS "isMine", pg_is_in_recovery() AS "inRecovery", l.granted AS "isHolder",
       l.pid, r.rolsuper AS "isSuperuser", a.backend_start::text AS since, host(a.client_addr) AS address
  FROM mine LEFT JOIN pg_locks l ON NOT mine.got AND ${OF_KEY}
            LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            LEFT JOIN pg_roles r ON r.oid = a.usesysid`

/**
 * Those who wait are next. What is seen of sessions is kept until the end of the transaction, or
 * until it is cleared.
 */
const EVICT_QUERY = `
SELECT pg_stat_clear_snapshot();
SELECT pg_terminate_backend(l.pid)
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_roles r ON r.oid = a.usesysid
 WHERE ${OF_KEY} AND NOT r.rolsuper;
SELECT pg_sleep(0.01);
SELECT pg_stat_clear_snapshot()`

/** One who comes back at once is sent away again, not for ever. */
const EVICTIONS_MAX = 50

/**
 * Another one that goes for a server in the moment after its restart meets our lock on the next,
 * and lets go.
 */
const RETAKE_TIMEOUT_MS = 5000

/** The lock, until it is disposed. */
export class RolesLock implements AsyncDisposable {
  readonly #context: ClusterContext
  readonly #silenceMs: number
  readonly #held = new Map<AnsweringServer, SqlClient>()
  /**
   * When what each session answered last was asked: before a silence has passed since then no
   * server ends it.
   */
  readonly #askedAtMs = new Map<SqlClient, number>()
  readonly #asked = new Set<SqlClient>()
  #beatMs: number
  #wasHeldUp = false
  readonly #heartbeat: NodeJS.Timeout

  /**
   * Nothing is locked yet. `silenceMs`: after so long a silence the servers take this process for
   * gone.
   */
  constructor(context: ClusterContext, silenceMs = SILENCE_MS) {
    // An interruption must not end it in the middle of what it is for.
    this.#context = steadyContext(context)
    this.#silenceMs = silenceMs
    this.#beatMs = context.clock.now()
    this.#heartbeat = setInterval(() => this.#beat(), silenceMs / BEATS).unref()
  }

  /** @throws as `lockRoles`. */
  async take(server: AnsweringServer): Promise<void> {
    const wanted = wantedServer(this.#context.wanted, server.name)
    const limit = { statementTimeoutMs: ANSWER_TIMEOUT_MS }
    const sql = await openAdminSql(this.#context, wanted, limit)
    const askedAtMs = this.#context.clock.now()
    try {
      await sql.query(`SET idle_in_transaction_session_timeout = ${this.#silenceMs}; BEGIN`)
      await takeLock(sql, server)
    } catch (error) {
      await sql[Symbol.asyncDispose]()
      throw error
    }
    this.#askedAtMs.set(sql, askedAtMs)
    this.#held.set(server, sql)
  }

  /** Takes it also on those that have begun to answer since. @throws as `lockRoles`. */
  async extend(found: ClusterFound): Promise<void> {
    const names = [...this.#held.keys()].map(({ name }) => name)
    for (const server of found.servers.filter(isAnswering)) {
      if (!names.includes(server.name)) await this.take(server)
    }
  }

  /**
   * Asks each session whether it is still there. Where one is not, somebody else could change roles
   * meanwhile: what was planned holds no more, however the servers look now. Nobody may be stopped
   * or promoted before this returned.
   * @param stopped servers that were stopped on purpose
   * @throws NOT_READY when the lock was lost.
   */
  async hold(stopped: readonly string[] = []): Promise<void> {
    for (const [{ name }, sql] of this.#held) {
      if (!stopped.includes(name) && !(await this.#isAlive(sql))) throw lost(name)
    }
  }

  /** The same of one server. @throws NOT_READY */
  async holdOn(name: string): Promise<void> {
    if (!(await this.#isAlive(this.sessionOn(name)))) throw lost(name)
  }

  /**
   * Takes it anew on a server that this process itself has restarted: that has let go of it. Does
   * nothing where it is still held.
   * @throws REPOSITORY_LOCKED when somebody else took it meanwhile; NOT_READY when somebody else
   * changed roles; what opening a session throws.
   */
  async retake(name: string): Promise<void> {
    for (const [server, sql] of this.#held) {
      if (server.name === name && !(await this.#isAlive(sql))) await this.#retake(server, sql)
    }
  }

  /**
   * Takes it anew wherever it was lost, before `from` serves again. A server that cannot be asked
   * does not stand in the way as long as this process has not been held up, or cut off, for so long
   * that the servers took it for gone.
   * @returns what was lost: then somebody else could change roles, and it has to be looked at
   * whether he did.
   * @throws as `retake`
   */
  async holdForReturn(from: string): Promise<Lost> {
    this.#noteBeat()
    let isLost = false
    for (const [server, sql] of this.#held) {
      if (server.name === from || (await this.#isAlive(sql))) continue
      isLost = true
      const silentMs = this.#context.clock.now() - (this.#askedAtMs.get(sql) ?? 0)
      if (silentMs >= this.#silenceMs) this.#wasHeldUp = true
      try {
        await this.#retake(server, sql)
      } catch (error) {
        const mayBeTaken =
          isBackstayError(error, 'REPOSITORY_LOCKED') || isBackstayError(error, 'NOT_READY')
        if (this.#wasHeldUp || mayBeTaken) throw error
      }
    }
    return { isLost, wasHeldUp: this.#wasHeldUp }
  }

  /**
   * The session that holds the lock on a server: what is asked through it is done only while nobody
   * else can have it.
   */
  sessionOn(name: string): SqlClient {
    for (const [server, sql] of this.#held) if (server.name === name) return sql
    throw new BackstayError('BUG', `No lock is held on "${name}"`)
  }

  async #retake(server: AnsweringServer, dead: SqlClient): Promise<void> {
    const { clock, signal } = this.#context
    await dead[Symbol.asyncDispose]()
    let refusal: unknown
    const isTaken = await until(
      async () => {
        try {
          await this.take(server)
          return true
        } catch (error) {
          if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
          refusal = error
          return false
        }
      },
      { clock, signal, timeoutMs: RETAKE_TIMEOUT_MS },
    )
    if (isTaken !== true) throw refusal
  }

  /**
   * One question at a time: to a server whose way is cut they would gather. A session that is gone
   * is found by `hold`.
   */
  #beat(): void {
    this.#noteBeat()
    for (const sql of this.#held.values()) {
      if (this.#asked.has(sql)) continue
      this.#asked.add(sql)
      void this.#isAlive(sql)
        .catch(() => undefined)
        .finally(() => this.#asked.delete(sql))
    }
  }

  /** A machine that slept, or a process that was stopped, finds that time went on without it. */
  #noteBeat(): void {
    const nowMs = this.#context.clock.now()
    if (nowMs - this.#beatMs > this.#silenceMs / 2) this.#wasHeldUp = true
    this.#beatMs = nowMs
  }

  /** Whether the session, and with it the lock it took, is still there. */
  async #isAlive(sql: SqlClient): Promise<boolean> {
    const askedAtMs = this.#context.clock.now()
    try {
      await sql.query('SELECT 1')
      this.#askedAtMs.set(sql, askedAtMs)
      return true
    } catch (error) {
      if (!isBackstayError(error)) throw error
      return false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat)
    await Promise.all([...this.#held.values()].map(async (sql) => sql[Symbol.asyncDispose]()))
  }
}

/** What became of the lock while it was thought to be held. */
export interface Lost {
  /** On one server at least the session was gone. */
  readonly isLost: boolean
  /**
   * For so long that the servers took this process for gone: somebody else could do whatever he
   * liked.
   */
  readonly wasHeldUp: boolean
}

/**
 * Takes it on all servers that answered.
 * @param silenceMs a holder that is silent for so long has lost it.
 * @throws REPOSITORY_LOCKED naming who has it; NOT_READY when roles are not any more as they were
 * found.
 */
export async function lockRoles(
  context: ClusterContext,
  found: ClusterFound,
  silenceMs?: number,
): Promise<RolesLock> {
  const roles = new RolesLock(context, silenceMs)
  try {
    for (const server of found.servers.filter(isAnswering)) await roles.take(server)
  } catch (error) {
    await roles[Symbol.asyncDispose]()
    throw error
  }
  return roles
}

/**
 * Any role that may log in can take the lock: only a superuser can be a Backstay, and nobody else
 * holds one up.
 */
async function takeLock(sql: SqlClient, { name, sql: found }: AnsweringServer): Promise<void> {
  for (let evictions = 0; ; evictions += 1) {
    const rows = await sql.query<Locked>(withoutMaterialized(sql))
    const [first] = rows
    if (first?.isMine === true) {
      if (first.inRecovery === found.inRecovery) return
      throw changedRole(name)
    }
    const holders = rows.filter(({ isHolder }) => isHolder === true)
    const holder = holders.find(({ isSuperuser }) => isSuperuser === true)
    if (holder !== undefined || evictions >= EVICTIONS_MAX) throw held(name, holder ?? holders[0])
    await sql.query(EVICT_QUERY)
  }
}

function changedRole(name: string): BackstayError {
  return new BackstayError('NOT_READY', `"${name}" has changed its role while it was looked at`, {
    hint: 'Run backstay status, then try again.',
  })
}

function lost(name: string): BackstayError {
  return new BackstayError(
    'NOT_READY',
    `The lock on changes of roles was lost on "${name}": this machine slept or was cut off, or the server was restarted, and somebody else could change roles meanwhile`,
    {
      hint: 'Nobody was promoted. Run backstay status, then the same command again: it looks anew.',
    },
  )
}

function held(name: string, holder: Locked | undefined): BackstayError {
  const { pid, since, address, isSuperuser } = holder ?? {}
  const from = typeof address === 'string' ? ` from ${address}` : ''
  const until = `since ${since ?? 'a moment ago'}${from} (session ${pid ?? 'unknown'})`
  if (isSuperuser === true) {
    return new BackstayError(
      'REPOSITORY_LOCKED',
      `Another Backstay changes roles of this cluster: it has held the lock on "${name}" ${until}`,
      {
        hint: `Wait until it has ended. If its machine is gone the server lets go of it after half a minute, or at once: SELECT pg_terminate_backend(${pid ?? '<pid>'}) on "${name}".`,
      },
    )
  }
  return new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot lock changes of roles on "${name}": a role that is no superuser has the lock ${until}, and takes it again when its session is ended`,
    {
      hint: `See whose sessions these are (pg_locks, objid ${KEY}) and take the role its login; of a prepared transaction: pg_prepared_xacts, then ROLLBACK PREPARED.`,
    },
  )
}

/** The word came with 12; up to 11 it always was so. */
function withoutMaterialized({ major }: SqlClient): string {
  return major < 12 ? LOCK_QUERY.replace(' MATERIALIZED', '') : LOCK_QUERY
}
