/**
 * Asking before something is destroyed.
 */
import { createInterface } from 'node:readline/promises'
import type { CommandContext } from '../context.ts'

/** Whether a person at the terminal says yes. Without a terminal nobody does. */
export async function askYes(
  context: Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>,
  question: string,
): Promise<boolean> {
  const { stdin, stdout, signal } = context
  if (!stdin.isTTY || !stdout.isTTY) return false
  using lines = createInterface({ input: stdin, output: stdout })
  const answer = await lines.question(`${question} Type "yes": `, { signal })
  return answer.trim().toLowerCase() === 'yes'
}
