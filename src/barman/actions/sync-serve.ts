/**
 * Lets a passive Backstay read what of a server is here, through standard input and output; not for
 * people.
 */
import { REPOSITORY_OBJECT } from '../../repository/format.ts'
import { servePipe } from '../../store/pipe-server.ts'
import { giveUpOutput } from '../../util/end-process.ts'
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { placeOf } from '../server/barman-place.ts'

/** A client that is there says so every minute (store/pipe-client.ts). */
const IDLE_MS = 5 * 60_000

/** Ends with the other side. @throws {BackstayError} STORE, INTERRUPTED when it is silent */
export async function run(context: BarmanContext): Promise<void> {
  const server = oneServer(context)
  if (server === undefined) return
  if (server.isPassive) return context.output.error(`Server '${server.name}' is passive`)
  const { store, name } = placeOf(context, server)
  const sees = (object: string): boolean =>
    object === REPOSITORY_OBJECT || object === name || object.startsWith(`${name}/`)
  const ping = async (): Promise<void> => {}
  const idle = { limitMs: IDLE_MS, giveUp: giveUpOutput }
  await servePipe({ store, sees, calls: { ping }, idle }, context.stdin, context.stdout)
}
