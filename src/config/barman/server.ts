/**
 * From the resolved options of a section to a server, and why a server cannot be used.
 */
import { compressionProblems } from './backup-compression.ts'
import type { BarmanServer } from './model.ts'
import { SERVER_OPTIONS } from './options.ts'
import type { ResolvedOption } from './server-options.ts'
import {
  parseAmount,
  parseBoolean,
  parseInterval,
  parseList,
  parseRetention,
  parseWhole,
} from './values.ts'

type ResolvedOptions = ReadonlyMap<string, ResolvedOption>

/** The directories whose sharing is a contradiction. */
export const SERVER_DIRECTORIES = [
  'backup_directory',
  'basebackups_directory',
  'errors_directory',
  'incoming_wals_directory',
  'streaming_wals_directory',
  'wals_directory',
] as const

/** Makes the server of section `name`. */
export function makeServer(name: string, options: ResolvedOptions): BarmanServer {
  const text = (key: string): string | undefined => options.get(key)?.text
  const isOn = (key: string): boolean => parseBoolean(text(key) ?? '') ?? false
  const word = (key: string): string => text(key) ?? ''
  const whole = (key: string): number | undefined => parseWhole(word(key))
  const streamingArchiver = isOn('streaming_archiver')
  return {
    name,
    description: text('description'),
    active: isOn('active'),
    activeModel: undefined,
    problems: problemsOf(options),
    isPassive: text('primary_ssh_command') !== undefined,
    primarySshCommand: text('primary_ssh_command'),
    forwardsConfigPath: isOn('forward_config_path'),
    conninfo: text('conninfo'),
    streamingConninfo: text('streaming_conninfo') ?? text('conninfo'),
    walStreamingConninfo: text('wal_streaming_conninfo'),
    backupMethod: word('backup_method'),
    archiver: isOn('archiver') || !streamingArchiver,
    archiverBatchSize: whole('archiver_batch_size') ?? 0,
    streamingArchiver,
    slotName: text('slot_name'),
    createSlot: text('create_slot') === 'auto' ? 'auto' : 'manual',
    receiverName: word('streaming_archiver_name'),
    backupName: word('streaming_backup_name'),
    immediateCheckpoint: isOn('immediate_checkpoint'),
    bandwidthKilobytes: whole('bandwidth_limit'),
    parallelJobs: whole('parallel_jobs') ?? 1,
    backupDirectory: word('backup_directory'),
    incomingDirectory: word('incoming_wals_directory'),
    errorsDirectory: word('errors_directory'),
    retention: parseRetention(word('retention_policy')),
    minimumRedundancy: whole('minimum_redundancy') ?? 0,
    lastBackupMaximumAge: parseInterval(word('last_backup_maximum_age')),
    lastBackupMinimumSize: parseAmount(word('last_backup_minimum_size')),
    lastWalMaximumAge: parseInterval(word('last_wal_maximum_age')),
    maxIncomingWalsQueue: whole('max_incoming_wals_queue'),
    checkTimeoutSeconds: whole('check_timeout') ?? 30,
    recoveryOptions: parseList(word('recovery_options')),
    options: new Map([...options].map(([key, value]) => [key, value.text])),
    notices: noticesOf(options),
  }
}

/** Barman's own reasons in its words, then ours. */
function problemsOf(options: ResolvedOptions): string[] {
  const text = (key: string): string | undefined => options.get(key)?.text
  const name = text('cluster') ?? ''
  const problems: string[] = []
  const isPassive = text('primary_ssh_command') !== undefined
  if (text('conninfo') === undefined && !isPassive) {
    problems.push(`PostgreSQL connection: Missing 'conninfo' parameter for server '${name}'`)
  }
  if (!text('streaming_conninfo') && !isPassive) {
    problems.push(
      `Streaming connection: Missing 'streaming_conninfo' parameter for server '${name}'`,
    )
  }
  if (isStreamingOnly(options) && !(text('streaming_conninfo') && text('slot_name'))) {
    problems.push(
      "Streaming-only archiver requires 'streaming_conninfo' and 'slot_name' options to be properly configured",
    )
  }
  return [
    ...problems,
    ...sharedInside(options),
    ...compressionProblems(options),
    ...refusalsOf(options),
  ]
}

/**
 * WAL comes over the replication protocol and no other way: without a slot some could be missed.
 */
function isStreamingOnly(options: ResolvedOptions): boolean {
  const isOn = (key: string): boolean => parseBoolean(options.get(key)?.text ?? '') === true
  return isOn('streaming_archiver') && !isOn('archiver')
}

/** Two of the server's own directories that are one. */
function sharedInside(options: ResolvedOptions): string[] {
  const seen = new Map<string, string>()
  const problems: string[] = []
  for (const key of SERVER_DIRECTORIES) {
    const path = options.get(key)?.text ?? ''
    const other = seen.get(path)
    if (other === undefined) seen.set(path, key)
    else problems.push(`Conflicting path: ${key}=${path} conflicts with '${other}'`)
  }
  return problems
}

function refusalsOf(options: ResolvedOptions): string[] {
  const problems: string[] = []
  const method = options.get('backup_method')?.text
  if (method === 'snapshot') {
    problems.push('backup_method = snapshot is not supported: use backup_method = postgres')
  } else if (!['postgres', 'rsync', 'local-rsync', undefined].includes(method)) {
    problems.push(`Unsupported backup_method '${method}'`)
  }
  for (const key of ['basebackups_directory', 'wals_directory']) {
    const path = options.get(key)?.text ?? ''
    if (/^\w+:\/\//.test(path)) problems.push(`${key} = ${path} is not supported: name a directory`)
  }
  const encryption = options.get('encryption')?.text
  if (encryption !== undefined && encryption !== 'none') {
    problems.push(`encryption = ${encryption} is not supported: nothing would be encrypted`)
  }
  return problems
}

function noticesOf(options: ResolvedOptions): string[] {
  const notices: string[] = []
  const method = options.get('backup_method')?.text
  if (method === 'rsync' || method === 'local-rsync') {
    notices.push(
      `backup_method = ${method} takes the backup over the replication protocol, as backup_method = postgres does`,
    )
  }
  for (const [key, { isSet }] of options) {
    const option = SERVER_OPTIONS.get(key)
    if (!isSet || option?.standing !== 'notice') continue
    notices.push(`${key} has no effect: ${option.because ?? ''}`)
  }
  return notices
}
