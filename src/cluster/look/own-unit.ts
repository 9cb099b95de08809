/**
 * Looks at the unit of this machine's service, and tells whose it is: it is called after the
 * cluster, and two clusters may have one name.
 */
import type { Host } from '../../host/host.ts'
import { lookUnit, runsSystemd } from '../../host/systemd.ts'
import { systemdWord } from '../../host/postgres-unit.ts'
import type { ClusterContext } from '../context.ts'
import type { BackupWanted } from '../wanted.ts'
import type { NoService, OwnUnit } from '../machine/own-service.ts'
import { serviceUnitOf } from '../machine/service-source.ts'

/**
 * Looks. Undefined when the backup server is another machine, or the caller makes no services (the
 * demo runs its own).
 */
export async function lookOwnUnit(
  context: ClusterContext,
): Promise<OwnUnit | NoService | undefined> {
  const { wanted, home } = context
  const service = await context.ownService()
  if (wanted.backup?.host.local !== true || service === undefined) return undefined
  if (!(await runsSystemd(home))) return 'no-systemd'
  if (home.user !== 'root') return 'not-root'
  const state = await lookUnit(home, serviceUnitOf(wanted.name))
  return { state, otherFile: await otherFileOf(home, state.text, service.configFile) }
}

/**
 * Whether this machine has a unit that works for `backup`, which the cluster file may have no more.
 */
export async function hasOwnUnit(context: ClusterContext, backup: BackupWanted): Promise<boolean> {
  const unit = await lookOwnUnit({ ...context, wanted: { ...context.wanted, backup } })
  return typeof unit === 'object' && unit.state.text !== undefined && unit.otherFile === undefined
}

/** A file that is gone was moved: its unit is taken over. */
async function otherFileOf(
  home: Host,
  text: string | undefined,
  own: string,
): Promise<string | undefined> {
  if (text === undefined || text.includes(configWords(own))) return undefined
  const [, quoted, plain] = / --config (?:"((?:[^"\\]|\\.)*)"|(\S+)) serve$/m.exec(text) ?? []
  const path = (quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '')
    .replaceAll('%%', '%')
    .replaceAll('$$', '$')
  return path !== '' && (await home.inspect(path)) !== undefined ? path : undefined
}

function configWords(path: string): string {
  return ` --config ${systemdWord(path)} serve\n`
}
