/**
 * Asking before something is destroyed. Questions name what servers and machines said of
 * themselves: none of it may change what a person reads.
 */
import { createInterface } from 'node:readline/promises'
import { printableWord } from '../../errors/printable.ts'
import type { CommandContext } from '../context.ts'

/** Whether a person at the terminal says yes. Without a terminal nobody does. */
export async function askYes(
  context: Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>,
  question: string,
): Promise<boolean> {
  const { stdin, stdout, signal } = context
  if (!stdin.isTTY || !stdout.isTTY) return false
  using lines = createInterface({ input: stdin, output: stdout })
  const answer = await lines.question(printableWord(`${question} Type "yes": `), { signal })
  return answer.trim().toLowerCase() === 'yes'
}
