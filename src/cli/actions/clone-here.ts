/**
 * Clones a standby on this machine for a Backstay elsewhere, and only as long as that is there.
 */
import { cloneHere } from '../../build/clone/clone-here.ts'
import type { ARGUMENTS } from '../commands/clone-here.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openLifeline } from '../session/lifeline.ts'

/** Progress goes to standard output, a line of JSON each. @throws USAGE, INTERRUPTED, what the clone throws */
export async function run(
  context: CommandContext<OptionSpecs, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { clock, stdout } = context
  const { directory } = context.arguments
  using lifeline = openLifeline(context.stdin)
  const signal = AbortSignal.any([context.signal, lifeline.signal])
  await cloneHere(await lifeline.order, {
    directory,
    signal,
    clock,
    tell: (progress) => void stdout.write(`${JSON.stringify(progress)}\n`),
  })
  return { data: { isDone: true }, text: () => 'Cloned.' }
}
