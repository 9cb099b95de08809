/**
 * Installs Backstay on the backup server's machine and runs its service there.
 */
import { createReadStream } from 'node:fs'
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host, TreeWriter } from '../../host/host.ts'
import { runChecked } from '../../host/run-checked.ts'
import { installUnit, restartUnit } from '../../host/systemd.ts'
import type { ClusterContext, Machine } from '../context.ts'
import {
  COMPLETE_NAME,
  CURRENT_LINK,
  type PackageFile,
  packageDirectoryOf,
  PROGRAM_LINK,
  SERVICE_COMMAND,
  serviceConfigOf,
} from '../service/service-source.ts'
import type { BackupWanted } from '../wanted.ts'
import type { Act } from './act-context.ts'

/** Links point at links: what they name may change without them. */
const LINK = 'ln -s -- "$1" "$2.backstay-new" && mv -fT -- "$2.backstay-new" "$2"'
const LAUNCHER = `#!/bin/sh\n# Written by Backstay.\nexec ${SERVICE_COMMAND.join(' ')} "$@"\n`

/** Makes the OS user that owns the repository. */
export const makeServiceUser: Act<'service-user'> = async (context, step) => {
  const { host } = await machineOf(context)
  const options = ['--system', '--user-group', '--no-create-home', '--shell', '/bin/sh']
  await runChecked(host, ['useradd', ...options, '--home-dir', step.home, '--', step.user])
}

/** Ships the package; it is in use from the moment its link is set, and never half. */
export const shipPackage: Act<'service-package'> = async (context, step) => {
  const { host } = await machineOf(context)
  const { files } = await context.serviceSource()
  const directory = packageDirectoryOf(step.version)
  const complete = posix.join(directory, COMPLETE_NAME)
  if ((await host.inspect(complete)) === undefined) {
    await host.remove(directory)
    await host.makeDirectory(directory, { mode: 0o755 })
    await fill(context, host, { directory, files })
    await host.writeFile(complete, '', { mode: 0o644 })
  }
  await link(host, directory, CURRENT_LINK)
  await host.writeFile(PROGRAM_LINK, LAUNCHER, { mode: 0o755 })
}

/** Writes the cluster file. */
export const writeServiceFile: Act<'service-file'> = async (context, step) => {
  const { host } = await machineOf(context)
  const { clusterFile } = await context.serviceSource()
  await host.makeDirectory(posix.dirname(step.path), { mode: 0o755 })
  await host.writeFile(step.path, clusterFile, { mode: 0o644 })
}

/** Writes the unit and (re)starts the service. */
export const startService: Act<'service'> = async (context, step) => {
  const { name } = context.wanted
  const { host, osUser: user } = await machineOf(context)
  const source = await context.serviceSource()
  const { repository } = backupOf(context)
  const text = source.unitText({
    command: SERVICE_COMMAND,
    configFile: serviceConfigOf(name),
    user,
    repository,
  })
  await installUnit(host, step.unit, text)
  await restartUnit(host, step.unit)
}

interface Load {
  readonly directory: string
  readonly files: readonly PackageFile[]
}

async function fill(context: ClusterContext, host: Host, load: Load): Promise<void> {
  const tree = await host.openTree(load.directory, {})
  const totalBytes = load.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const made = new Set<string>()
  let doneBytes = 0
  try {
    for (const file of load.files) {
      context.signal.throwIfAborted()
      await makeParents(tree, file.path, made)
      await tree.beginFile(file.path, { mode: file.mode, sizeBytes: file.sizeBytes })
      for await (const chunk of createReadStream(file.source)) await tree.write(chunk as Buffer)
      await tree.endFile()
      doneBytes += file.sizeBytes
      const server = backupOf(context).name
      context.report({ kind: 'clone-progress', server, doneBytes, totalBytes })
    }
    await tree.sync()
  } finally {
    await tree.close()
  }
}

/** Parents that a tree makes itself would be ours alone. */
async function makeParents(tree: TreeWriter, path: string, made: Set<string>): Promise<void> {
  const parent = posix.dirname(path)
  if (parent === '.' || made.has(parent)) return
  await makeParents(tree, parent, made)
  await tree.makeDirectory(parent, 0o755)
  made.add(parent)
}

async function link(host: Host, target: string, path: string): Promise<void> {
  await host.remove(`${path}.backstay-new`)
  await runChecked(host, ['sh', '-c', LINK, 'sh', target, path])
}

async function machineOf(context: ClusterContext): Promise<Machine> {
  return await context.machineOf(backupOf(context))
}

function backupOf({ wanted }: ClusterContext): BackupWanted {
  if (wanted.backup !== undefined) return wanted.backup
  throw new BackstayError('BUG', 'A step for the backup server without a backup part')
}
