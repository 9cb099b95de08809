/**
 * A connection in physical replication mode: what a standby, a backup tool or a WAL receiver says
 * to a server. One command at a time. SQL goes through sql-client.ts instead. Source: PostgreSQL
 * documentation, "Streaming Replication Protocol".
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type Lsn, parseLsn } from '../postgres/lsn.ts'
import { parseTimelineHistory, type TimelineHistory } from '../postgres/timeline.ts'
import { versionFacts } from '../postgres/version.ts'
import { baseBackupCommand, type BaseBackupOptions } from './base-backup-command.ts'
import { BaseBackupExchange, type BaseBackupResult } from './base-backup-exchange.ts'
import type { BaseBackupSink } from './base-backup-sink.ts'
import { cancelRequest } from './cancel.ts'
import { connectWithAttempts } from './connect-attempts.ts'
import type { ConnectionOptions } from './connection-options.ts'
import type { Conversation } from './conversation.ts'
import { encodeQuery, encodeTerminate } from './frontend-messages.ts'
import { logIn } from './log-in.ts'
import { ManifestExchange, type ManifestSource } from './manifest-exchange.ts'
import {
  createSlotCommand,
  type CreateSlotOptions,
  quoteName,
  showCommand,
} from './replication-command.ts'
import { type Row, RowsExchange } from './rows-exchange.ts'
import { formatDuration } from '../util/duration.ts'
import { describeServer } from './server-address.ts'
import type { Encryption } from './tls-settings.ts'
import { type WalHandler, WalStream, type WalStreamOptions } from './wal-stream.ts'

/** The longest silence during a short command. */
const COMMAND_TIMEOUT_MS = 60_000
/**
 * The longest silence of BASE_BACKUP with a fast checkpoint: the server sends nothing while it
 * checkpoints.
 */
const BASE_BACKUP_TIMEOUT_MS = 30 * 60_000
/** The same with a spread checkpoint: checkpoint_timeout may be a day. */
const SPREAD_CHECKPOINT_TIMEOUT_MS = 25 * 3_600_000

/** A server as IDENTIFY_SYSTEM describes it. */
export interface SystemIdentity {
  /** 64 bits, as decimal text. */
  readonly systemIdentifier: string
  readonly timeline: number
  /** Flushed up to here (on a standby: replayed and received). */
  readonly flushLsn: Lsn
}

/** A physical slot as READ_REPLICATION_SLOT shows it. */
export interface PhysicalSlot {
  /** Undefined when the slot keeps no WAL yet. */
  readonly restartLsn: Lsn | undefined
  readonly restartTimeline: number | undefined
}

/** How long one command may take. */
export interface CommandOptions {
  readonly signal?: AbortSignal
  /**
   * Of a short command the whole time, whatever comes meanwhile: a server could go on saying
   * something without end. Default 60 s.
   */
  readonly timeoutMs?: number
}

/** How a base backup is run. */
export interface RunBaseBackupOptions extends BaseBackupOptions, CommandOptions {
  /**
   * The longest silence of the server, its checkpoint included. Default 30 min; 25 h with a spread
   * checkpoint.
   */
  readonly idleTimeoutMs?: number
}

/** An open replication connection. Dispose it to close; every method throws BackstayError. */
export class ReplicationConnection implements AsyncDisposable {
  /** `server_version` as the server says it: `18.4`, `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly serverVersion: string
  readonly major: number
  readonly #options: ConnectionOptions
  readonly #conversation: Conversation
  readonly #encryption: Encryption
  #isIdentified = false

  private constructor(
    options: ConnectionOptions,
    conversation: Conversation,
    encryption: Encryption,
  ) {
    this.#options = options
    this.#conversation = conversation
    this.#encryption = encryption
    this.serverVersion = conversation.parameters.get('server_version') ?? ''
    this.major = Number.parseInt(this.serverVersion, 10)
  }

  /**
   * Connects and logs in.
   * @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_TLS, POSTGRES_AUTH, POSTGRES_HBA,
   * POSTGRES_LIMIT, POSTGRES_VERSION, POSTGRES_PROTOCOL; the signal's reason.
   */
  static async connect(options: ConnectionOptions): Promise<ReplicationConnection> {
    const connection = await connectWithAttempts(options, async (encryption, signal) => {
      const conversation = await logIn(options, encryption, signal)
      return new ReplicationConnection(options, conversation, encryption)
    })
    return connection.#checked()
  }

  /** Whether the connection is encrypted. */
  get isEncrypted(): boolean {
    return this.#encryption === 'tls'
  }

  /** Who the server is, its timeline, and how far its WAL is. */
  async identifySystem(options: CommandOptions = {}): Promise<SystemIdentity> {
    const { action, row } = await this.#oneRow('identify', 'IDENTIFY_SYSTEM', options)
    const flushLsn = parseLsn(text(row, 'xlogpos'))
    if (flushLsn === undefined) throw violation(action)
    const timeline = Number(text(row, 'timeline'))
    this.#isIdentified = true
    return { systemIdentifier: text(row, 'systemid'), timeline, flushLsn }
  }

  /** The value of a setting, as SHOW prints it: `16MB`. */
  async show(setting: string, options: CommandOptions = {}): Promise<string> {
    const { row } = await this.#oneRow(`read "${setting}" of`, showCommand(setting), options)
    return [...row.values()][0]?.toString() ?? ''
  }

  /**
   * A physical slot, or undefined when there is none.
   * @throws {BackstayError} POSTGRES_VERSION before 15: read pg_replication_slots over SQL there.
   */
  async readReplicationSlot(
    name: string,
    options: CommandOptions = {},
  ): Promise<PhysicalSlot | undefined> {
    this.#require(15, 'READ_REPLICATION_SLOT')
    const command = `READ_REPLICATION_SLOT ${quoteName(name)}`
    const { row } = await this.#oneRow(`read slot "${name}" of`, command, options)
    if (row.get('slot_type') === undefined) return undefined
    const timeline = row.get('restart_tli')?.toString()
    return {
      restartLsn: parseLsn(row.get('restart_lsn')?.toString() ?? ''),
      restartTimeline: timeline === undefined ? undefined : Number(timeline),
    }
  }

  /**
   * @throws {BackstayError} POSTGRES_QUERY with `details.sqlstate` 42710 when the slot exists;
   * POSTGRES_LIMIT when none is free.
   */
  async createPhysicalSlot(
    name: string,
    options: CreateSlotOptions & CommandOptions = {},
  ): Promise<void> {
    const command = createSlotCommand(name, options, this.major)
    await this.#rows(`create slot "${name}" on`, command, options)
  }

  /** @throws {BackstayError} SLOT_MISSING, SLOT_IN_USE. */
  async dropSlot(name: string, options: CommandOptions = {}): Promise<void> {
    const command = `DROP_REPLICATION_SLOT ${quoteName(name)}`
    await this.#rows(`drop slot "${name}" on`, command, options)
  }

  /** The history of a timeline other than 1, and its file's exact bytes. */
  async timelineHistory(
    timeline: number,
    options: CommandOptions = {},
  ): Promise<{ history: TimelineHistory; content: Buffer }> {
    const command = `TIMELINE_HISTORY ${timeline}`
    const found = await this.#oneRow(
      `read the history of timeline ${timeline} of`,
      command,
      options,
    )
    const content = found.row.get('content') ?? Buffer.alloc(0)
    const history = parseTimelineHistory(timeline, content.toString())
    if (history === undefined) throw violation(found.action)
    return { history, content }
  }

  /**
   * Takes a base backup and delivers it to `sink`, held back by the sink's promises. A failure of
   * any side ends the connection, and the server is told to stop.
   * @throws {BackstayError} what the server said, and the errors of `run`; what the sink threw; the
   * signal's reason.
   */
  async baseBackup(options: RunBaseBackupOptions, sink: BaseBackupSink): Promise<BaseBackupResult> {
    const silence =
      options.checkpoint === 'spread' ? SPREAD_CHECKPOINT_TIMEOUT_MS : BASE_BACKUP_TIMEOUT_MS
    const exchange = new BaseBackupExchange(this.#action('take a base backup of'), sink, {
      framesArchives: versionFacts(this.major).baseBackupParentheses,
    })
    try {
      await this.#conversation.run(exchange, {
        request: encodeQuery(baseBackupCommand(options, this.major)),
        idleTimeoutMs: options.idleTimeoutMs ?? silence,
        signal: options.signal,
      })
    } catch (error) {
      await this.#stopServer()
      throw error
    }
    return exchange.result
  }

  /**
   * Streams WAL to `handler`. The connection serves nothing else until the stream has ended.
   * @throws {BackstayError} when the server refuses: WAL_UNAVAILABLE, SLOT_MISSING, SLOT_IN_USE,
   * POSTGRES_IDENTITY, …
   */
  async startReplication(options: WalStreamOptions, handler: WalHandler): Promise<WalStream> {
    const action = this.#action('receive WAL from')
    const { signal } = options
    // A standby before 14 knows its timeline in this session only after that.
    if (!this.#isIdentified) await this.identifySystem(signal === undefined ? {} : { signal })
    return WalStream.start(this.#conversation, handler, { ...options, action })
  }

  /**
   * Uploads an earlier backup's manifest for `baseBackup({ incremental: true })` on this
   * connection.
   * @throws {BackstayError} POSTGRES_VERSION before 17; what the server said; what `source` threw.
   */
  async uploadManifest(source: ManifestSource, options: CommandOptions = {}): Promise<void> {
    this.#require(17, 'UPLOAD_MANIFEST')
    const { transport } = this.#conversation
    const exchange = new ManifestExchange(this.#action('upload a manifest to'), transport, source)
    try {
      await this.#conversation.run(exchange, {
        request: encodeQuery('UPLOAD_MANIFEST'),
        idleTimeoutMs: COMMAND_TIMEOUT_MS,
        signal: options.signal,
      })
    } catch (error) {
      throw exchange.failure === undefined ? error : exchange.failure.error
    }
  }

  /** Says goodbye and closes. Never throws. */
  async close(): Promise<void> {
    if (this.#conversation.isEnded) return
    this.#conversation.transport.write(encodeTerminate())
    await this.#conversation.transport.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * After a failure of ours the server may still be busy, e.g. in a checkpoint, and would not
   * notice that we left.
   */
  async #stopServer(): Promise<void> {
    const { key, isEnded } = this.#conversation
    if (key === undefined || !isEnded) return
    await cancelRequest(this.#options, key, this.#encryption).catch(() => undefined)
  }

  async #oneRow(
    doing: string,
    command: string,
    options: CommandOptions,
  ): Promise<{ action: string; row: Row }> {
    const { action, rows } = await this.#rows(doing, command, options)
    const [row] = rows
    if (row === undefined) throw violation(action)
    return { action, row }
  }

  async #rows(doing: string, command: string, options: CommandOptions): Promise<RowsExchange> {
    const exchange = new RowsExchange(this.#action(doing))
    const { signal, timeoutMs = COMMAND_TIMEOUT_MS } = options
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(tooLate(exchange.action, timeoutMs)), timeoutMs)
    try {
      await this.#conversation.run(exchange, {
        request: encodeQuery(command),
        idleTimeoutMs: timeoutMs,
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      })
      return exchange
    } finally {
      clearTimeout(timer)
    }
  }

  #action(doing: string): string {
    return `Cannot ${doing} ${describeServer(this.#options)}`
  }

  #require(major: number, what: string): void {
    if (this.major >= major) return
    throw new BackstayError(
      'POSTGRES_VERSION',
      `Cannot use ${what} on PostgreSQL ${this.major}: it needs ${major}`,
    )
  }

  #checked(): this {
    if (Number.isInteger(this.major)) return this
    this.#conversation.transport.destroy(undefined)
    throw new BackstayError(
      'POSTGRES_VERSION',
      `Cannot use ${describeServer(this.#options)}: its version "${this.serverVersion}" is not understood`,
    )
  }
}

function text(row: Row, column: string): string {
  return row.get(column)?.toString() ?? ''
}

function tooLate(action: string, timeoutMs: number): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `${action}: no whole answer within ${formatDuration(timeoutMs)}`,
  )
}

function violation(action: string): BackstayError {
  return new BackstayError('POSTGRES_PROTOCOL', `${action}: the answer is incomplete`)
}
