/**
 * Gives a filled directory everything that makes it this standby and no other: its settings, its
 * way to the primary, the signal to start as a standby. Written before pg_control, so that it can
 * never start as a primary.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { removeConfSetting } from '../../postgres/conf-file.ts'
import type { ControlParameters } from '../../postgres/control-file.ts'
import { placeHbaBlock } from '../../postgres/hba-order.ts'
import { ensureManagedInclude } from '../../postgres/managed-conf.ts'
import { withoutDoorLines } from '../../restore/door-lines.ts'
import { withoutRecoverySettings, withoutRestoreSettings } from '../../restore/left-settings.ts'
import { accessLines } from '../plan/access.ts'
import { managedConfText } from '../plan/configuration.ts'
import { settingsWanted } from '../../cluster/settings.ts'
import { floorsOfControl } from '../plan/standby-floors.ts'
import { standbyFileWanted } from '../plan/standby-settings.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { managedConfPath, signalFilePath, standbyFilePath } from '../../cluster/file-paths.ts'

/** Which standby follows which primary. */
export interface StandbyFilesPlace {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  readonly owner: string
  /** What the primary runs with; the standby may not have less. */
  readonly parameters: ControlParameters
  /** Where the directory lies while it is worked on; in its own place when left out. */
  readonly directory?: string
}

/**
 * Writes the files, where the cluster file says that the server's are, else in the directory, which
 * gets files of its own.
 */
export async function writeStandbyFiles(
  wanted: ClusterWanted,
  host: Host,
  place: StandbyFilesPlace,
): Promise<void> {
  const { server, primary, owner } = place
  const there = { ...server, directory: place.directory ?? server.directory }
  const inDirectory = (name: string): string => posix.join(there.directory, name)
  // The group may read a whole cluster or nothing of it.
  const isGroups = (((await host.inspect(there.directory))?.mode ?? 0) & 0o050) === 0o050
  const mode = isGroups ? 0o640 : 0o600
  const main = server.configFile ?? inDirectory('postgresql.conf')
  const write = async (path: string, content: string): Promise<void> =>
    host.writeFile(path, content, { mode, owner })
  const edit = async (path: string, change: (text: string) => string): Promise<void> =>
    write(path, change((await host.readFile(path))?.toString() ?? ''))

  const settings = settingsWanted(wanted, server, {
    floors: floorsOfControl(place.parameters),
    isSynchronous: true,
  })
  await write(managedConfPath(main), managedConfText(wanted, settings))
  await edit(main, (text) => ensureManagedInclude(withoutForeignSettings(text)))
  const lines = accessLines(wanted, owner)
  await edit(
    server.hbaFile ?? inDirectory('pg_hba.conf'),
    (text) => placeHbaBlock(withoutDoorLines(text), lines, wanted.postgres.version).content,
  )
  await edit(inDirectory('pg_ident.conf'), withoutDoorLines)
  await edit(inDirectory('postgresql.auto.conf'), (text) =>
    Object.keys(settings).reduce(removeConfSetting, withoutForeignSettings(text)),
  )
  await write(standbyFilePath(wanted, there, main), standbyFileWanted(wanted, server, primary))
  const signal = signalFilePath(wanted, there)
  if (signal !== undefined) await write(signal, '')
}

/**
 * What ALTER SYSTEM, or a restore, may have left on the primary from another time; it would win
 * over our file.
 */
function withoutForeignSettings(text: string): string {
  const own = withoutRecoverySettings(withoutRestoreSettings(text))
  return removeConfSetting(own, 'promote_trigger_file')
}
