/**
 * Looks at the machine of a backup server that is not this one: its OS user, the Backstay installed
 * there, and its service.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { userExists } from '../../host/os-user.ts'
import { runChecked } from '../../host/run-checked.ts'
import { hasSystemd, lookUnit } from '../../host/systemd.ts'
import { type ClusterContext, factOf } from '../context.ts'
import type { BackupHostFound, BackupHostSeen } from '../found.ts'
import {
  COMPLETE_NAME,
  CURRENT_LINK,
  packageDirectoryOf,
  SERVICE_COMMAND,
  SERVICE_FILE_MODE,
  serviceConfigOf,
  serviceUnitOf,
} from '../machine/service-source.ts'
import { lookSeat } from './look-seat.ts'
import type { BackupWanted } from '../wanted.ts'

/**
 * Looks. Undefined without backup part, and when the backup server is this machine: there the
 * operator runs the service.
 */
export async function lookBackupHost(
  context: ClusterContext,
): Promise<BackupHostFound | undefined> {
  const { backup } = context.wanted
  if (backup === undefined || backup.host.local) return undefined
  try {
    const { host, osUser } = await context.machineOf(backup)
    return { seen: await look(context, host, { backup, osUser }), hostError: undefined }
  } catch (error) {
    const { code, message, hint } = factOf(error)
    return { seen: undefined, hostError: { code, message, hint } }
  }
}

async function look(
  context: ClusterContext,
  host: Host,
  who: { readonly backup: BackupWanted; readonly osUser: string },
): Promise<BackupHostSeen> {
  const { name } = context.wanted
  const { osUser, backup } = who
  const source = await context.serviceSource()
  const { version, architecture, clusterFile } = source
  const directory = packageDirectoryOf(source)
  const configFile = serviceConfigOf(name)
  const place = { command: SERVICE_COMMAND, configFile, user: osUser }
  const [uname, link, complete, file, info, isKnown, usesSystemd, seat] = await Promise.all([
    runChecked(host, ['uname', '-m']),
    host.inspect(CURRENT_LINK),
    host.inspect(posix.join(directory, COMPLETE_NAME)),
    host.readFile(configFile),
    host.inspect(configFile),
    userExists(host, osUser),
    hasSystemd(host),
    backup.barman === true ? lookSeat(host, context.wanted) : undefined,
  ])
  return {
    osUser,
    hasUser: isKnown,
    architecture: uname.stdout.trim(),
    usesSystemd,
    version: link?.target === undefined ? undefined : posix.basename(link.target),
    hasPackage: complete !== undefined,
    clusterFile: file?.toString(),
    isClusterFileOpen: info !== undefined && (info.mode & ~SERVICE_FILE_MODE & 0o777) !== 0,
    unit: usesSystemd ? await lookUnit(host, serviceUnitOf(name)) : undefined,
    seat,
    wanted: {
      version,
      directory,
      architecture,
      clusterFile,
      unitText: source.unitText({ ...place, repository: backup.repository }),
    },
  }
}
