/**
 * Does the one thing a database server asks of the repository over its key: takes a WAL file, gives one, or lets it read a backup.
 */
import { gateGreeting } from '../../cluster/way/way-files.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { type GateRequest, parseGateRequest } from '../../service/gate-request.ts'
import { DiskStore } from '../../store/disk-store.ts'
import type { OPTIONS } from '../commands/gate.ts'
import type { CommandContext } from '../context.ts'
import { absolute } from './wal-place.ts'

type Context = CommandContext<typeof OPTIONS>

/** What it ends with when it fails: recovery-exit-code.ts. @throws {BackstayError} HOST_PRIVILEGE, WAL_INVALID, … */
export async function run(context: Context): Promise<void> {
  const request = parseGateRequest(context.environment['SSH_ORIGINAL_COMMAND'])
  const { repository: directory, cluster } = context.options
  if (request.request === 'hello') return await say(context, gateGreeting(cluster))
  const store = new DiskStore(absolute(context, directory))
  const repository = await openCluster(store, cluster, context.clock)
  if (request.request === 'read') {
    const { serveRepository } = await import('../session/serve-repository.ts')
    return await serveRepository(context, repository)
  }
  if (request.request === 'push') await push(context, repository, request)
  else await get(context, repository, request.name)
}

async function push(
  { stdin }: Context,
  repository: ClusterRepository,
  { name, sizeBytes }: GateRequest & { readonly request: 'push' },
): Promise<void> {
  const { pushWalContent } = await import('../../wal/push.ts')
  await pushWalContent(repository, name, await contentOf(stdin, name, sizeBytes))
}

/** A connection that breaks off looks like the end of the file: only the announced size tells. */
async function contentOf(stdin: NodeJS.ReadStream, name: string, size: number): Promise<Buffer> {
  const content = Buffer.alloc(size)
  let filled = 0
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    if (filled + chunk.length > size) throw cut(name, `more than ${size}`, size)
    filled += chunk.copy(content, filled)
  }
  if (filled === size) return content
  throw cut(name, String(filled), size)
}

function cut(name: string, came: string, size: number): BackstayError {
  return new BackstayError(
    'WAL_INVALID',
    `Cannot store WAL file "${name}": ${came} bytes came, ${size} were announced`,
  )
}

async function get(context: Context, repository: ClusterRepository, name: string): Promise<void> {
  const { readWalFile } = await import('../../wal/read-wal-file.ts')
  const found = await readWalFile(repository, name)
  if (found !== undefined) return await say(context, found.content)
  throw new BackstayError('WAL_MISSING', `Cannot get WAL file "${name}": it is not held`)
}

async function say({ stdout }: Context, content: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stdout.write(content, (error) => (error ? reject(error) : resolve()))
  })
}
