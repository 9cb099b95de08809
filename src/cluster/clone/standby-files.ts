/**
 * Gives a filled directory everything that makes it this standby and no other: its settings, its way to the primary,
 * the signal to start as a standby. Written before pg_control, so that it can never start as a primary.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { removeConfSetting } from '../../postgres/conf-file.ts'
import type { ControlParameters } from '../../postgres/control-file.ts'
import { setHbaBlock } from '../../postgres/hba-block.ts'
import { ensureManagedInclude } from '../../postgres/managed-conf.ts'
import { accessLines } from '../plan/access.ts'
import { managedConfPath, managedConfText } from '../plan/configuration.ts'
import { settingsWanted } from '../plan/settings.ts'
import { floorsOfControl } from '../plan/standby-floors.ts'
import { signalFilePath, standbyFilePath, standbyFileWanted } from '../plan/standby-settings.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'

/** What ALTER SYSTEM may have left on the primary from a time when it was a standby; it would win over our file. */
const STANDBY_ONLY = ['primary_conninfo', 'primary_slot_name', 'promote_trigger_file']
const RECOVERY_TARGET = /^\s*(recovery_target\w*)\b/gim

/** Which standby follows which primary. */
export interface StandbyPlace {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  readonly owner: string
  /** What the primary runs with; the standby may not have less. */
  readonly parameters: ControlParameters
  /** Where the directory lies while it is worked on; in its own place when left out. */
  readonly directory?: string
}

/** Writes the files. Where the primary keeps its configuration elsewhere the directory gets files of its own. */
export async function writeStandbyFiles(
  wanted: ClusterWanted,
  host: Host,
  place: StandbyPlace,
): Promise<void> {
  const { server, primary, owner } = place
  const there = { ...server, directory: place.directory ?? server.directory }
  const inDirectory = (name: string): string => posix.join(there.directory, name)
  const main = inDirectory('postgresql.conf')
  const write = async (path: string, content: string): Promise<void> =>
    host.writeFile(path, content, { mode: 0o600, owner })
  const edit = async (path: string, change: (text: string) => string): Promise<void> =>
    write(path, change((await host.readFile(path))?.toString() ?? ''))

  const settings = settingsWanted(wanted, server, {
    floors: floorsOfControl(place.parameters),
    isSynchronous: true,
  })
  await write(managedConfPath(main), managedConfText(wanted, settings))
  await edit(main, ensureManagedInclude)
  await edit(inDirectory('pg_hba.conf'), (text) =>
    setHbaBlock(text, accessLines(wanted), wanted.postgres.version),
  )
  await edit(inDirectory('pg_ident.conf'), (text) => text)
  await edit(inDirectory('postgresql.auto.conf'), withoutStandbySettings)
  await write(standbyFilePath(wanted, there, main), standbyFileWanted(wanted, server, primary))
  const signal = signalFilePath(wanted, there)
  if (signal !== undefined) await write(signal, '')
}

function withoutStandbySettings(text: string): string {
  const targets = [...text.matchAll(RECOVERY_TARGET)].map((match) => match[1] ?? '')
  return [...STANDBY_ONLY, ...targets].reduce(removeConfSetting, text)
}
