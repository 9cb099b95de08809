/**
 * SQL to a server: one connection, our errors, libpq's sslmode words, no environment variables.
 */
import type { Socket } from 'node:net'
import type { Client } from 'pg'
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'
import { limitBytes } from './byte-limit.ts'
import { connectWithAttempts } from './connect-attempts.ts'
import { describeServer } from './server-address.ts'
import { sqlError } from './sql-error.ts'
import { openSqlSession, type SqlOptions, type SqlSession } from './sql-session.ts'

export type { SqlOptions } from './sql-session.ts'

const END_TIMEOUT_MS = 5000
/** The most one statement may answer; what is asked for here has a few megabytes. */
const RESULT_BYTES_MAX = 128 * 1024 * 1024

/**
 * An open SQL connection; dispose it to close. Statements run one after another, also when called
 * concurrently. When the options' signal aborts, the connection is gone and waiting calls reject
 * with its reason.
 */
export class SqlClient implements AsyncDisposable {
  /** `server_version` as the server says it. */
  readonly serverVersion: string
  readonly major: number
  readonly #options: SqlOptions
  readonly #client: Client
  readonly #socket: Socket
  readonly #unanswerable: () => string | undefined
  /** Settles when the statements given so far are done: `pg` must not be given the next before. */
  #queue: Promise<unknown> = Promise.resolve()
  #excess: BackstayError | undefined
  readonly #abort = (): void => void this.#socket.destroy()

  private constructor(options: SqlOptions, session: SqlSession) {
    this.#options = options
    this.#client = session.client
    this.#socket = session.socket
    this.#unanswerable = session.excess
    this.serverVersion = session.serverVersion
    this.major = Number.parseInt(session.serverVersion, 10)
    options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /**
   * Connects and logs in.
   * @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_TLS, POSTGRES_AUTH, POSTGRES_HBA,
   * POSTGRES_LIMIT, …; the signal's reason.
   */
  static async connect(options: SqlOptions): Promise<SqlClient> {
    const session = await connectWithAttempts(options, async (way, signal) =>
      openSqlSession(options, way, signal),
    )
    return new SqlClient(options, session)
  }

  /**
   * Runs one statement (several only without values) and returns the rows of the last. int8 comes
   * as a number where it is exact and as text beyond 2^53; pg_lsn as `Lsn`; numeric as text; the
   * rest as in `pg`.
   * @throws {BackstayError} POSTGRES_QUERY with `details.sqlstate`, TIMEOUT,
   * POSTGRES_CONNECTION_LOST, …
   */
  async query<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const statement = this.#queue.then(async () => this.#run<Row>(text, values))
    this.#queue = statement.catch(() => undefined)
    return statement
  }

  /**
   * The only row of a statement.
   * @throws {BackstayError} POSTGRES_QUERY when there is none or more than one.
   */
  async one<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row> {
    const rows = await this.query<Row>(text, values)
    const [row] = rows
    if (row !== undefined && rows.length === 1) return row
    const action = actionOf(this.#options)
    throw new BackstayError(
      'POSTGRES_QUERY',
      `${action}: ${rows.length} rows where one was expected`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort)
    const timer = setTimeout(this.#abort, END_TIMEOUT_MS)
    await this.#client.end().catch(() => undefined)
    clearTimeout(timer)
  }

  async #run<Row>(text: string, values: readonly unknown[]): Promise<Row[]> {
    this.#options.signal?.throwIfAborted()
    using _limit = limitBytes(this.#socket, RESULT_BYTES_MAX, () => {
      this.#excess = tooMuch(actionOf(this.#options))
      this.#abort()
    })
    try {
      const result: unknown = await this.#client.query(text, [...values])
      const last: unknown = Array.isArray(result) ? result.at(-1) : result
      return (last as { rows: Row[] }).rows
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(error: unknown): unknown {
    const { signal } = this.#options
    if (signal?.aborted === true) return signal.reason
    if (this.#excess !== undefined) return this.#excess
    const why = this.#unanswerable()
    if (why !== undefined) {
      const text = `${actionOf(this.#options)}: the answer is no answer to it: ${why}`
      return new BackstayError('POSTGRES_PROTOCOL', text)
    }
    const failure = sqlError(actionOf(this.#options), error)
    // The answer to a statement that timed out here may still come: nothing more can be asked.
    if (failure.code === 'TIMEOUT' && failure.details['sqlstate'] === undefined) this.#abort()
    return failure
  }
}

/** Connects, runs `work`, closes. @throws what `SqlClient.connect` and `work` throw. */
export async function withSql<T>(
  options: SqlOptions,
  work: (sql: SqlClient) => Promise<T>,
): Promise<T> {
  await using client = await SqlClient.connect(options)
  return await work(client)
}

function tooMuch(action: string): BackstayError {
  return new BackstayError(
    'POSTGRES_PROTOCOL',
    `${action}: the answer has more than ${formatSize(RESULT_BYTES_MAX)}`,
  )
}

function actionOf(options: SqlOptions): string {
  return `Cannot query ${describeServer(options)}`
}
