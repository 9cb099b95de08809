import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { type ConfLine, formatConfValue, scanConf } from '../../../src/postgres/conf-scanner.ts'

const only = (text: string): ConfLine => scanConf(text)[0] ?? assert.fail()

function directive(text: string): [string, string] {
  const line = only(text)
  return line.kind === 'directive' ? [line.name, line.value] : assert.fail(`${text}: ${line.kind}`)
}

suite('configuration scanner', () => {
  for (const [text, name, value] of [
    ['port = 5433', 'port', '5433'],
    ['port 5433', 'port', '5433'],
    ['port=5433# comment', 'port', '5433'],
    ["\tlisten_addresses\t=\t'*' \r\n", 'listen_addresses', '*'],
    ["a = 'it''s'", 'a', "it's"],
    [String.raw`a = 'it\'s'`, 'a', "it's"],
    [String.raw`a = 'x\n\t\101\x'`, 'a', 'x\n\tAx'],
    ["a = 'x # y' # z", 'a', 'x # y'],
    ["a = ''", 'a', ''],
    ['a = on', 'a', 'on'],
    ['shared_buffers = 128MB', 'shared_buffers', '128MB'],
    ['a = -1', 'a', '-1'],
    ['a = .5e-3', 'a', '.5e-3'],
    ['a = 0x1F', 'a', '0x1F'],
    ['a = one.two.three', 'a', 'one.two.three'],
    ['a = name-with:signs/x', 'a', 'name-with:signs/x'],
    ['pg_stat_statements.max = 10', 'pg_stat_statements.max', '10'],
    ['größe = weiß', 'größe', 'weiß'],
    ["include 'x.conf'", 'include', 'x.conf'],
  ] as const) {
    test(`${JSON.stringify(text)} sets ${name}`, () => {
      assert.deepEqual(directive(text), [name, value])
    })
  }

  for (const text of ['', '   ', '# a = 1', '\t#', '\r\n']) {
    test(`${JSON.stringify(text)} says nothing`, () => {
      assert.ok(scanConf(text).every((line) => line.kind === 'blank'))
    })
  }

  for (const [text, column] of [
    ['a', 2],
    ['a =', 4],
    ['a = b c', 7],
    ['a = b.c', 5],
    ['a = 1.5GB', 8],
    ["a = 'open", 5],
    ['= 1', 1],
    ["'a' = 1", 1],
    ['a == 1', 4],
    ['a = 1 2', 7],
    ['1a = 1', 1],
    ['a = @', 5],
  ] as const) {
    test(`${JSON.stringify(text)} is a syntax error at column ${column}`, () => {
      const line = only(text)
      assert.equal(line.kind === 'problem' ? line.column : line.kind, column)
    })
  }

  test('lines keep their text and number', () => {
    const text = 'a = 1\r\n\n# c\nb = 2'
    const lines = scanConf(text)
    assert.equal(lines.map((line) => line.text).join(''), text)
    assert.deepEqual(
      lines.map((line) => line.number),
      [1, 2, 3, 4],
    )
  })

  test('no text is lost, whatever it is', () => {
    const piece = fc.oneof(
      fc.constantFrom("'", '\\', '=', '\n', '\r\n', '#', 'a', '.', '1'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('')
        return (
          scanConf(text)
            .map((line) => line.text)
            .join('') === text
        )
      }),
    )
  })
})

suite('configuration value', () => {
  for (const [value, text] of [
    ['on', 'on'],
    ['128MB', '128MB'],
    ['-1', '-1'],
    ['0.5', '0.5'],
    ['a.b', "'a.b'"],
    ['1.5GB', "'1.5GB'"],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it''s'"],
    ["''", "''''''"],
    [String.raw`C:\x`, String.raw`'C:\\x'`],
    ['two\nlines', String.raw`'two\nlines'`],
    ['*', "'*'"],
    ['=', "'='"],
    ['#', "'#'"],
  ] as const) {
    test(`${JSON.stringify(value)} is written ${text}`, () => {
      assert.equal(formatConfValue(value), text)
    })
  }

  test('any value is read back as written', () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.stringMatching(/^[a-z0-9.'\\\n\r\t =#_-]*$/),
    )
    fc.assert(
      fc.property(value, (text) => {
        assert.deepEqual(directive(`a = ${formatConfValue(text)}`), ['a', text])
      }),
    )
  })
})
