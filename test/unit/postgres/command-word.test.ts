import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { commandWord } from '../../../src/postgres/command-word.ts'

/** As BuildRestoreCommand() does it. */
function replacePlaceholders(command: string): string {
  return command.replaceAll(/%(.)/g, (_all, letter: string) => (letter === '%' ? '%' : 'REPLACED'))
}

test('a word passes placeholders and the shell unchanged, whatever is in it', () => {
  const characters = fc.constantFrom(
    ...String.raw`az09/.-_%fpr '"$\;&|()<>*?~#`.split(''),
    '\n',
    '`',
  )
  const words = fc.array(characters, { minLength: 1, maxLength: 12 }).map((all) => all.join(''))
  fc.assert(
    fc.property(words, (word) => {
      const line = `printf %s. ${replacePlaceholders(commandWord(word))}`
      assert.equal(execFileSync('sh', ['-c', line], { encoding: 'utf8' }), `${word}.`)
    }),
    { numRuns: 200 },
  )
})
