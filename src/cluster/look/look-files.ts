/**
 * The texts of the files we write or write into, and whether the password file is ours.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { formatPassfileLine } from '../../postgres/passfile.ts'
import type { ClusterContext, Machine } from '../context.ts'
import type { FilesFound, StrayFile } from '../found.ts'
import type { SqlFound } from '../found-sql.ts'
import { passfilePathOf } from '../names.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { managedConfPath, standbyFilePath } from '../file-paths.ts'

/** Where a file is and what it says. */
interface FileFound {
  readonly text: string | undefined
  readonly modifiedAtMs: number
}

/** Looks at the files of `server`. */
export async function lookFiles(
  context: ClusterContext,
  machine: Machine,
  place: { readonly server: ServerWanted; readonly sql: SqlFound | undefined },
): Promise<FilesFound> {
  const { host } = machine
  const { server, sql } = place
  const { wanted } = context
  const { mainPath, hbaPath, strays } = configurationPlaces(server, sql)
  const [main, settings, hba, standby, autoConf, passfile, missing] = await Promise.all([
    readIfAny(host, mainPath),
    readIfAny(host, managedConfPath(mainPath)),
    readIfAny(host, hbaPath),
    readIfAny(host, standbyFilePath(wanted, server, mainPath)),
    readIfAny(host, posix.join(server.directory, 'postgresql.auto.conf')),
    lookPassfile(context, machine, server),
    missingDirectories(wanted, host, server),
  ])
  return {
    mainPath,
    main: main.text,
    settings: settings.text,
    hbaPath,
    ...(strays.length === 0 ? {} : { strays }),
    hba: hba.text,
    autoConf: autoConf.text,
    standby: standby.text,
    standbyModifiedAtMs: standby.modifiedAtMs,
    modifiedAtMs: Math.max(main.modifiedAtMs, settings.modifiedAtMs, hba.modifiedAtMs),
    passfile,
    missingDirectories: missing,
  }
}

/** The content of the password file a server's walreceiver reads. */
export function passfileText(wanted: ClusterWanted, password: string): string {
  return `${formatPassfileLine({ user: wanted.replication.role, password })}\n`
}

/**
 * Where the configuration is: where the cluster file says, else in the data directory. A running
 * server that names another place is not followed there: whoever may change its settings would
 * choose which file root reads and writes. Pure.
 */
export function configurationPlaces(
  server: ServerWanted,
  sql: Pick<SqlFound, 'settings'> | undefined,
): Pick<FilesFound, 'mainPath' | 'hbaPath'> & { readonly strays: readonly StrayFile[] } {
  const strays: StrayFile[] = []
  const place = (key: StrayFile['key'], setting: string, usual: string): string => {
    const wanted = server[key] ?? posix.join(server.directory, usual)
    const said = pathOf(sql, setting) ?? wanted
    const plain = posix.resolve(said)
    if (plain === wanted || plain.startsWith(`${server.directory}/`)) return plain
    strays.push({ key, path: said })
    return wanted
  }
  const mainPath = place('configFile', 'config_file', 'postgresql.conf')
  const hbaPath = place('hbaFile', 'hba_file', 'pg_hba.conf')
  return { mainPath, hbaPath, strays }
}

function pathOf(sql: Pick<SqlFound, 'settings'> | undefined, setting: string): string | undefined {
  const value = sql?.settings.get(setting)?.value
  return value === undefined || value === '' ? undefined : value
}

async function readIfAny(host: Host, path: string): Promise<FileFound> {
  const bytes = await host.readFile(path)
  if (bytes === undefined) return { text: undefined, modifiedAtMs: 0 }
  const info = await host.inspect(path)
  return { text: bytes.toString(), modifiedAtMs: info?.modifiedAtMs ?? 0 }
}

async function lookPassfile(
  context: ClusterContext,
  { host, osUser }: Machine,
  server: ServerWanted,
): Promise<FilesFound['passfile']> {
  const { wanted, state } = context
  const path = passfilePathOf(server.directory)
  const text = (await host.readFile(path))?.toString()
  if (text === undefined) return 'missing'
  const { role } = wanted.replication
  const password = (await state.readPasswords([role])).get(role)
  const info = await host.inspect(path)
  const isPrivate = info !== undefined && (info.mode & 0o077) === 0
  const isOurs = password !== undefined && text === passfileText(wanted, password)
  return isOurs && isPrivate && info.owner === osUser ? 'ours' : 'different'
}

async function missingDirectories(
  wanted: ClusterWanted,
  host: Host,
  server: ServerWanted,
): Promise<readonly string[]> {
  const { archiveDirectory } = wanted.replication
  const needed = [
    server.socketDirectory,
    ...(archiveDirectory === undefined ? [] : [archiveDirectory]),
  ]
  const missing: string[] = []
  for (const path of needed) {
    if ((await host.list(path)) === undefined) missing.push(path)
  }
  return missing
}
