/**
 * Says whether a new server may archive here: nothing of its timelines must be held.
 */
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { openServer } from '../server/barman-place.ts'

/** Held WAL of `--timeline` or a later one makes the command fail. @throws {BackstayError} STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const server = oneServer(context)
  if (server === undefined) return
  const from = options.timeline ?? 1
  output.lines(`Server ${server.name}:`)
  const repository = await openServer(context, server)
  const held = repository === undefined ? [] : await repository.wal.listTimelines()
  if (held.some((name) => Number.parseInt(name, 16) >= from)) {
    return output.error(
      `WAL archive check failed for server ${server.name}: Expected empty archive`,
    )
  }
  output.lines(` - WAL archive check for server ${server.name} passed`)
}
