/**
 * Copies this Backstay to another machine. It is in use from the moment its last file is there, and
 * never half.
 */
import { createReadStream } from 'node:fs'
import { posix } from 'node:path'
import type { Host, TreeWriter } from '../host/host.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { COMPLETE_NAME, packageDirectoryOf } from '../cluster/machine/service-source.ts'

/** A machine, and the name of the server progress is told of. */
export interface ShipTo {
  readonly host: Host
  readonly server: string
}

/**
 * Ships it; what lies there of it is not whole and goes.
 * @throws DISK_SPACE, HOST_COMMAND, HOST_UNREACHABLE
 */
export async function shipPackage(context: ClusterContext, to: ShipTo): Promise<void> {
  const { host } = to
  const directory = packageDirectoryOf(await context.serviceSource())
  await host.remove(directory)
  await host.makeDirectory(directory, { mode: 0o755 })
  try {
    await fill(context, to, directory)
    await host.writeFile(posix.join(directory, COMPLETE_NAME), '', { mode: 0o644 })
  } catch (error) {
    if (!context.signal.aborted) await host.remove(directory).catch(() => undefined)
    throw error
  }
}

async function fill(context: ClusterContext, to: ShipTo, directory: string): Promise<void> {
  const { files } = await context.serviceSource()
  const tree = await to.host.openTree(directory, { isCompressed: true })
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const made = new Set<string>()
  let doneBytes = 0
  try {
    for (const file of files) {
      context.signal.throwIfAborted()
      await makeParents(tree, file.path, made)
      await tree.beginFile(file.path, { mode: file.mode, sizeBytes: file.sizeBytes })
      for await (const chunk of createReadStream(file.source)) await tree.write(chunk as Buffer)
      await tree.endFile()
      doneBytes += file.sizeBytes
      context.report({ kind: 'clone-progress', server: to.server, doneBytes, totalBytes })
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
