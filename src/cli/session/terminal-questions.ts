/**
 * Questions that opening a host may ask, at the terminal or not at all.
 */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { printableWord } from '../../errors/printable.ts'
import { askYes } from './ask-yes.ts'
import type { CommandContext } from '../context.ts'
import type { Asking } from './remote-hosts.ts'

type Terminal = Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>

/** Questions on this terminal. */
export function terminalQuestions(terminal: Terminal): Asking {
  return {
    isTrusted: async (question) => askYes(terminal, question),
    password: async (question) => askPassword(terminal, question),
  }
}

/** Nobody is asked: no key is trusted, no password is known. */
export const NO_QUESTIONS: Asking = {
  isTrusted: async () => false,
  password: async () => undefined,
}

/** Reads a line without showing it. */
async function askPassword(terminal: Terminal, question: string): Promise<string | undefined> {
  const { stdin, stdout, signal } = terminal
  if (!stdin.isTTY || !stdout.isTTY) return undefined
  stdout.write(printableWord(question))
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, signal })
  // The terminal is in raw mode while it asks: Ctrl-C comes as a key and is made a signal again.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    lines.once('line', resolve).once('close', () => resolve(undefined))
    return await promise
  } finally {
    lines.close()
    stdout.write('\n')
  }
}
