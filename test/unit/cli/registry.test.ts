/**
 * The commands of the program: each is described, and its examples are command lines the parser takes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadAll } from '../../../src/cli/catalogue.ts'
import { argumentWord } from '../../../src/cli/commander-parts.ts'
import { REGISTRY } from '../../../src/cli/commands/registry.ts'
import { EXIT_MEANINGS } from '../../../src/errors/exit-meanings.ts'
import { parseCommandLine } from '../../../src/cli/parse.ts'
import { ERROR_KINDS } from '../../../src/errors/codes.ts'

const entries = await loadAll(REGISTRY)

for (const { path, line, definition } of entries) {
  test(`backstay ${path} is described`, () => {
    assert.match(line.summary, /^[A-Z].*[^.]$/)
    const options = Object.keys(definition.options ?? {}).length > 0 ? ['[options]'] : []
    const words = [...options, ...(definition.arguments ?? []).map(argumentWord)]
    assert.equal(line.usage, words.join(' '))
    assert.equal(typeof definition.run, 'function')
    for (const option of Object.values(definition.options ?? {})) {
      assert.match(option.help, /^[A-Z].*[^.]$/)
    }
    const [group = '', verb] = path.split(' ')
    assert.equal(verb === undefined, !(group in REGISTRY.groups))
  })

  const lines = (definition.examples ?? []).filter((example) => example.startsWith('backstay '))
  for (const example of lines) {
    test(`the example "${example}" is a command line`, async () => {
      const line = /backstay ([^>|]*)/.exec(example)?.[1] ?? ''
      const words = (line.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) =>
        word.replace(/^(["'])(.*)\1$/, '$2'),
      )
      const options = { registry: REGISTRY, version: '0', columns: 80 }
      const invocation = await parseCommandLine(words, options)
      assert.equal(invocation.kind === 'run' ? invocation.path : 'help', path)
    })
  }
}

test('every error of the catalogue has an exit code with a meaning', () => {
  for (const [code, { exitCode }] of Object.entries(ERROR_KINDS)) {
    assert.ok(EXIT_MEANINGS[exitCode], `${code} ends with ${exitCode}`)
  }
})
