/**
 * Asking questions on a terminal, one after the other, again where an answer is wrong.
 */
import { createInterface, type Interface } from 'node:readline'
import { BackstayError } from '../../errors/backstay-error.ts'
import { printable } from '../../errors/printable.ts'
import type { CommandContext } from '../context.ts'
import type { InitAnswers, InitQuestion } from './init-questions.ts'

const TRIES_MAX = 5

/**
 * Asks what `given` does not answer.
 * @throws INTERRUPTED at Ctrl-C or Ctrl-D, USAGE after five wrong answers
 */
export async function askQuestions(
  questions: readonly InitQuestion[],
  given: Partial<InitAnswers>,
  context: Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>,
): Promise<InitAnswers> {
  const { stdin: input, stdout: output, signal } = context
  const terminal = createInterface({ input, output, signal })
  // The terminal is in raw mode while it asks: Ctrl-C comes as a key and is made a signal again.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  const ask = lineReader(terminal, signal)
  try {
    const answers: Partial<Record<keyof InitAnswers, string>> = { ...given }
    for (const question of questions) {
      const isWanted = question.isWanted?.(answers) ?? true
      answers[question.key] ??= isWanted ? await askOne(question, answers, ask) : ''
    }
    return answers as InitAnswers
  } finally {
    terminal.close()
  }
}

type Ask = (prompt: string) => Promise<string>

/** Reads a line at a time; lines pasted together wait for their questions. */
function lineReader(terminal: Interface, signal: AbortSignal): Ask {
  const lines = terminal[Symbol.asyncIterator]()
  return async (prompt) => {
    terminal.setPrompt(printable(prompt))
    terminal.prompt()
    const { value, done } = await lines.next()
    signal.throwIfAborted()
    if (done === true) throw new BackstayError('INTERRUPTED', 'Cannot ask on: the input ended')
    return value
  }
}

async function askOne(
  question: InitQuestion,
  answers: Partial<InitAnswers>,
  ask: Ask,
): Promise<string> {
  const standard = question.standard ? ` [${question.standard}]` : ''
  let complaint = ''
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const typed = (await ask(`${complaint}${question.text}${standard}: `)).trim()
    const answer = typed === '' ? (question.standard ?? '') : typed
    const fault = question.fault(answer, answers)
    if (fault === undefined) return answer
    complaint = `  ${fault}\n`
  }
  throw new BackstayError('USAGE', `Cannot go on after ${TRIES_MAX} wrong answers`)
}
