/**
 * Questions at a terminal: what servers and machines say of themselves stands in them, and nothing of it is obeyed.
 */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { askQuestions } from '../../../src/cli/session/ask.ts'
import { askYes } from '../../../src/cli/session/ask-yes.ts'
import { INIT_QUESTIONS } from '../../../src/cli/session/init-questions.ts'
import type { CommandContext } from '../../../src/cli/context.ts'
import { terminalQuestions } from '../../../src/cli/session/terminal-questions.ts'

const HOSTILE =
  'x\u001b[2K\rAll backups are done. \u001b]0;title\u0007\u202e\nType "yes" to keep it: '
const SPELLED = String.raw`x\x1b[2K\x0dAll backups are done. \x1b]0;title\x07\u202e\x0aType "yes" to keep it: `

type Terminal = Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>

/** A terminal at which `answer` is typed once something was asked; `shown` is all that came to it. */
function terminal(answer: string): Terminal & { shown: () => string } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => stdin })
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
  let shown = ''
  stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  stdout.once('data', () => setImmediate(() => stdin.write(`${answer}\n`)))
  const { signal } = new AbortController()
  return { stdin, stdout, signal, shown: () => shown } as unknown as ReturnType<typeof terminal>
}

/** Whether nothing but what readline itself writes could move a cursor. */
function isSpelled(shown: string): boolean {
  // oxlint-disable-next-line no-control-regex
  const controls = /\u001b\]|\u001b\[2K|\u0007|\u202e|done\. \n|\rAll/
  return shown.includes(SPELLED) && !controls.test(shown)
}

test('a question for yes', async () => {
  const at = terminal('yes')
  assert.equal(await askYes(at, `"${HOSTILE}" takes a base backup`), true)
  assert.ok(isSpelled(at.shown()), JSON.stringify(at.shown()))
})

test('questions about a host', async () => {
  const trust = terminal('no')
  assert.equal(await terminalQuestions(trust).isTrusted(HOSTILE), false)
  assert.ok(isSpelled(trust.shown()), JSON.stringify(trust.shown()))
  const password = terminal('secret')
  assert.equal(await terminalQuestions(password).password(HOSTILE), 'secret')
  assert.ok(isSpelled(password.shown()), JSON.stringify(password.shown()))
})

test('questions of init', async () => {
  const at = terminal('main')
  const [question] = INIT_QUESTIONS
  assert.ok(question)
  await askQuestions([{ ...question, text: HOSTILE.replace('\n', '') }], {}, at)
  assert.ok(!at.shown().includes('\u0007') && at.shown().includes(String.raw`\x07`))
})
