/**
 * Quoting against a real shell.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { shellCommand, shellQuote, showCommand } from '../../../src/host/shell-quote.ts'

const word = fc.string({ unit: 'binary', maxLength: 40 }).filter(
  // A lone surrogate cannot be UTF-8, and no argument holds a NUL byte.
  (text) => !text.includes('\0') && text.isWellFormed(),
)
const nasty = fc.string({
  unit: fc.constantFrom(...`'"\\$\`()!*?[]{}~#&|;<> \n\t=-aA0`.split('')),
  maxLength: 12,
})

test('a shell reads quoted words back unchanged, whatever they contain', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(word, nasty), { minLength: 1, maxLength: 40 }), (words) => {
      const line = `printf '%s\\0' ${shellCommand(words)}`
      const output = execFileSync('sh', ['-c', line], { encoding: 'utf8' })
      assert.deepEqual(output.split('\0').slice(0, -1), words)
    }),
    { numRuns: 60 },
  )
})

test('plain words stay readable', () => {
  assert.equal(
    shellCommand(['/usr/bin/pg_ctl', '-D', '/x', '--a=b']),
    '/usr/bin/pg_ctl -D /x --a=b',
  )
})

test('the first word is never read as an assignment', () => {
  assert.equal(shellQuote('A=b'), "'A=b'")
})

test('a NUL byte is refused for running and harmless for showing', () => {
  assert.throws(() => shellQuote('a\0b'), { code: 'FAILED' })
  assert.equal(showCommand(['a\0b']), "'a\0b'")
})

test('a command in a message is one line of bounded length', () => {
  const shown = showCommand(['sh', '-c', 'echo\n'.repeat(500)])
  assert.ok(!shown.includes('\n') && shown.length <= 301)
})
