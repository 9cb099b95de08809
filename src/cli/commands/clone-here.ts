/**
 * `backstay clone-here`: started by `up` on a standby's machine; not for people.
 */
import { cloneHere } from '../../build/clone/clone-here.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openLifeline } from '../session/lifeline.ts'

const ARGUMENTS = [
  { name: 'directory', help: 'Where to; the order says the same' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  arguments: ARGUMENTS,
  run,
})

/**
 * Progress goes to standard output, a line of JSON each.
 * @throws USAGE, INTERRUPTED, what the clone throws
 */
async function run(context: CommandContext<OptionSpecs, typeof ARGUMENTS>): Promise<CommandResult> {
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
