/**
 * Barman's configuration as values: what the rest of the program works with.
 */
import type { IniValue } from './ini.ts'
import type { Interval, RetentionRule } from './values.ts'

/** All that was read. */
export interface BarmanConfig {
  readonly file: string
  readonly barmanHome: string
  readonly barmanUser: string
  readonly logFile: string | undefined
  readonly logLevel: string
  /** By name, sorted. */
  readonly servers: readonly BarmanServer[]
  readonly models: readonly BarmanModel[]
  /** One line each, to be said on every command. */
  readonly warnings: readonly string[]
  /** Contradictions between servers that stop every command. */
  readonly errors: readonly string[]
}

/** A section with `model = true`: options that stand over a server's own while it is active. */
export interface BarmanModel {
  readonly name: string
  /** Servers whose `cluster` is the same may take it. */
  readonly cluster: string | undefined
  readonly options: ReadonlyMap<string, IniValue>
}

/** One server. Paths are absolute as configured. */
export interface BarmanServer {
  readonly name: string
  readonly description: string | undefined
  readonly active: boolean
  /** The model that stands over its section. */
  readonly activeModel: string | undefined
  /** Why it cannot be used; empty when it can. */
  readonly problems: readonly string[]
  /** Passive: another Barman owns it. */
  readonly isPassive: boolean
  /** The way to the primary Barman, for a passive server. */
  readonly primarySshCommand: string | undefined
  /** The primary is to read its configuration from the same path as we do. */
  readonly forwardsConfigPath: boolean
  readonly conninfo: string | undefined
  readonly streamingConninfo: string | undefined
  readonly walStreamingConninfo: string | undefined
  readonly backupMethod: string
  readonly archiver: boolean
  readonly archiverBatchSize: number
  readonly streamingArchiver: boolean
  readonly slotName: string | undefined
  readonly createSlot: 'auto' | 'manual'
  readonly receiverName: string
  readonly backupName: string
  readonly immediateCheckpoint: boolean
  readonly bandwidthKilobytes: number | undefined
  readonly parallelJobs: number
  readonly backupDirectory: string
  /** Of its repository, when that is not the one below barman_home. */
  readonly repository?: string | undefined
  /** Whether Backstay's service receives for it: nobody takes its place while it is stopped. */
  readonly isServed?: boolean
  readonly incomingDirectory: string
  readonly errorsDirectory: string
  readonly retention: RetentionRule | undefined
  readonly minimumRedundancy: number
  readonly lastBackupMaximumAge: Interval | undefined
  readonly lastBackupMinimumSize: number | undefined
  readonly lastWalMaximumAge: Interval | undefined
  readonly maxIncomingWalsQueue: number | undefined
  readonly checkTimeoutSeconds: number
  readonly recoveryOptions: readonly string[]
  /** Every option as text, defaults included; undefined when unset. For show-servers. */
  readonly options: ReadonlyMap<string, string | undefined>
  /** Options that are set and have no effect, with the reason. */
  readonly notices: readonly string[]
}
