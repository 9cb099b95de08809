/**
 * Settings that an operator may not give as parameters: those that have a key of their own in the
 * cluster file, those that Backstay writes, and values with which replication or recovery could not
 * work.
 */
import { isLoopback, sendersNeeded, slotsNeeded } from '../cluster/settings.ts'
import { parseSettingBoolean } from '../postgres/setting-value.ts'
import type { ConfigPath } from './document.ts'
import type { ConfigFinding } from './problems.ts'
import type { ClusterSettings } from './settings.ts'
import { toWanted } from './wanted.ts'

/** Setting → the key to use instead. */
const HAS_OWN_KEY: Readonly<Record<string, string>> = {
  port: 'servers.<name>.port',
  data_directory: 'servers.<name>.directory',
  password_encryption: 'postgres.authentication',
  data_checksums: 'postgres.checksums',
  wal_segment_size: 'postgres.segmentSize',
  wal_keep_size: 'replication.keep',
  wal_keep_segments: 'replication.keep',
  max_slot_wal_keep_size: 'replication.slotKeep',
  synchronous_standby_names: 'replication.synchronous',
  hba_file: 'postgres.access',
}

/** Settings Backstay writes by itself. */
const IS_OURS = new Set([
  'config_file',
  'primary_conninfo',
  'primary_slot_name',
  'restore_command',
  'archive_cleanup_command',
  'standby_mode',
  'trigger_file',
  'promote_trigger_file',
  'include',
  'include_dir',
  'include_if_exists',
])

/** Setting → what breaks when it is off. */
const MUST_BE_ON: Readonly<Record<string, string>> = {
  hot_standby: 'standbys could not be read or checked',
  fsync: 'a crash would destroy the data',
  full_page_writes: 'a crash could destroy pages, and pg_rewind needs it',
}

const NAME_PATTERN = /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/

/** What is wrong with `postgres.parameters` and every `servers.<name>.parameters`. */
export function parameterFindings(settings: ClusterSettings): ConfigFinding[] {
  return [
    ...mapFindings(['postgres'], settings.postgres.parameters, settings),
    ...Object.entries(settings.servers).flatMap(([name, server]) =>
      mapFindings(['servers', name], server.parameters, settings),
    ),
  ]
}

function mapFindings(
  parent: ConfigPath,
  parameters: Readonly<Record<string, string>>,
  settings: ClusterSettings,
): ConfigFinding[] {
  const seen = new Set<string>()
  return Object.entries(parameters).flatMap(([key, value]) => {
    const path = [...parent, 'parameters', key]
    const name = key.toLowerCase()
    if (seen.has(name))
      return [{ path, text: 'stands here twice: case does not count', atKey: true }]
    seen.add(name)
    const keyFault = faultOfName(name)
    if (keyFault !== undefined) return [{ path, text: keyFault, atKey: true }]
    const fault =
      name === 'unix_socket_directories'
        ? faultOfSockets(parent, value, settings)
        : faultOfValue(name, value, settings)
    return fault === undefined ? [] : [{ path, text: `${fault}: found "${value}"` }]
  })
}

function faultOfName(name: string): string | undefined {
  const key = HAS_OWN_KEY[name]
  if (key !== undefined) return `is set through ${key}`
  if (IS_OURS.has(name) || name.startsWith('recovery_target')) return 'is written by Backstay'
  return NAME_PATTERN.test(name) ? undefined : 'is no name of a setting'
}

function faultOfValue(name: string, value: string, settings: ClusterSettings): string | undefined {
  const isOn = parseSettingBoolean(value) === true
  const consequence = MUST_BE_ON[name]
  if (consequence !== undefined) return isOn ? undefined : `must be on, ${consequence}`
  switch (name) {
    case 'wal_level':
      return /^(replica|logical)$/i.test(value)
        ? undefined
        : 'must be replica or logical, standbys need it'
    case 'wal_log_hints':
      return isOn || settings.postgres.checksums
        ? undefined
        : 'must be on without checksums, pg_rewind needs one of them'
    case 'max_wal_senders':
      return tooFew(value, sendersNeeded(toWanted(settings)))
    case 'max_replication_slots':
      return tooFew(value, slotsNeeded(toWanted(settings)))
    case 'listen_addresses':
      return faultOfListening(value, settings)
    case 'archive_mode':
    case 'archive_command':
    case 'archive_library':
      return settings.replication.archive === undefined
        ? undefined
        : 'is set by replication.archive'
    default:
      return undefined
  }
}

/** Backstay's way to a server is one of its sockets; the others are the operator's. */
function faultOfSockets(
  parent: ConfigPath,
  value: string,
  { servers }: ClusterSettings,
): string | undefined {
  const directories = value.split(',').map((directory) => directory.trim())
  const [missing] = Object.entries(servers)
    .filter(([name]) => parent[0] === 'postgres' || parent[1] === name)
    .filter(([, { socketDirectory }]) => !directories.includes(socketDirectory))
  if (missing === undefined) return undefined
  const [name, { socketDirectory }] = missing
  return `must hold servers.${name}.socketDirectory, which is "${socketDirectory}"`
}

function tooFew(value: string, needed: number): string | undefined {
  return Number(value) >= needed ? undefined : `must be at least ${needed} for this cluster`
}

function faultOfListening(value: string, settings: ClusterSettings): string | undefined {
  const addresses = value.split(',').map((address) => address.trim())
  const machines = [
    ...Object.values(settings.servers),
    ...(settings.backup === undefined ? [] : [settings.backup]),
  ]
  const isReached = machines.every((machine) => machine.isLocal)
    ? addresses.some((address) => address !== '')
    : addresses.some((address) => address !== '' && !isLoopback(address))
  return isReached ? undefined : 'must hold an address that the other machines reach'
}
