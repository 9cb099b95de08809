/**
 * The server of commands that only passive servers know.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BarmanContext } from '../context.ts'
import { oneServer } from './chosen-servers.ts'

/** Undefined when it was said why not. */
export function passiveServer(context: BarmanContext, command: string): BarmanServer | undefined {
  const server = oneServer(context)
  if (server === undefined || server.isPassive) return server
  context.output.error(
    `Server '${server.name}' is not passive: ${command} has nothing to copy from`,
  )
  return undefined
}
