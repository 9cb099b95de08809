/**
 * Clones a standby on this machine for a Backstay elsewhere, and only as long as that is there.
 */
import { cloneHere } from '../../cluster/clone/clone-here.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openLifeline } from '../session/lifeline.ts'

/** Progress goes to standard output, a line of JSON each. @throws USAGE, INTERRUPTED, what the clone throws */
export async function run(context: CommandContext): Promise<CommandResult> {
  const { clock, stdout } = context
  using lifeline = openLifeline(context.stdin)
  const signal = AbortSignal.any([context.signal, lifeline.signal])
  await cloneHere(await lifeline.order, {
    signal,
    clock,
    tell: (progress) => void stdout.write(`${JSON.stringify(progress)}\n`),
  })
  return { data: { isDone: true }, text: () => 'Cloned.' }
}
