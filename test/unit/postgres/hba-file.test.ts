import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { findHbaProblems, type HbaEntry, parseHba } from '../../../src/postgres/hba-file.ts'
import type { HbaRule } from '../../../src/postgres/hba-rule.ts'
import { scanHba, splitHbaFields } from '../../../src/postgres/hba-scanner.ts'

const MAJOR = 18

function ruleOf(line: string, major = MAJOR): HbaRule {
  const [entry] = parseHba(line, major)
  return entry?.kind === 'rule' ? entry.rule : assert.fail(`${line}: ${JSON.stringify(entry)}`)
}

function problemOf(line: string, major = MAJOR): Extract<HbaEntry, { kind: 'problem' }> {
  const [entry] = parseHba(line, major)
  return entry?.kind === 'problem' ? entry : assert.fail(`${line} has no problem`)
}

const words = (line: string): string[][] =>
  splitHbaFields(line).map((field) =>
    field.map((token) => (token.isQuoted ? `"${token.text}"` : token.text)),
  )

suite('pg_hba.conf fields', () => {
  for (const [line, expected] of [
    ['local all all trust', [['local'], ['all'], ['all'], ['trust']]],
    ['\thost\ta,b  c', [['host'], ['a', 'b'], ['c']]],
    ['host a, b ,c d', [['host'], ['a', 'b'], ['c'], ['d']]],
    ['x # y', [['x']]],
    ['x#y z', [['x']]],
    ['"a b,c#d" e', [['"a b,c#d"'], ['e']]],
    ['"a""b"', [['"a"b"']]],
    ['"" x', [['""'], ['x']]],
    ['a"b c"d', [['ab cd']]],
    ['"open all', [['"open all"']]],
    ['host all all all md5\r', [['host'], ['all'], ['all'], ['all'], ['md5']]],
    ['', []],
    ['   # comment', []],
  ] as const) {
    test(`${JSON.stringify(line)} is split as PostgreSQL splits it`, () => {
      assert.deepEqual(words(line), expected)
    })
  }

  test('lines join at a backslash from 14 on, and keep their text', () => {
    const text = 'host all \\\n all all md5\nlocal all all trust'
    assert.deepEqual(
      scanHba(text, 14).map((line) => [line.number, line.fields.length]),
      [
        [1, 5],
        [3, 4],
      ],
    )
    assert.equal(scanHba(text, 13).length, 3)
  })

  test('no text is lost, whatever it is', () => {
    const piece = fc.oneof(
      fc.constantFrom('"', '\\\n', '\n', '\r\n', '#', ',', ' ', 'all'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(piece), fc.constantFrom(11, 18), (pieces, major) => {
        const text = pieces.join('')
        return (
          scanHba(text, major)
            .map((line) => line.text)
            .join('') === text
        )
      }),
    )
  })
})

suite('pg_hba.conf rule', () => {
  test('every part is read', () => {
    const rule = ruleOf('hostssl a,"b c" +g,@f 10.0.0.0/8 cert clientname=DN map="x y" # why')
    assert.equal(rule.type, 'hostssl')
    assert.deepEqual(
      rule.databases.map((token) => token.text),
      ['a', 'b c'],
    )
    assert.deepEqual(
      rule.users.map((token) => token.text),
      ['+g', '@f'],
    )
    assert.equal(rule.method, 'cert')
    assert.deepEqual(rule.options, { clientname: 'DN', map: 'x y' })
    assert.deepEqual(rule.address, {
      kind: 'network',
      network: { family: 4, value: 0x0a000000n, mask: 0xff000000n },
    })
  })

  test('an address and a mask mean the same as a prefix', () => {
    assert.deepEqual(
      ruleOf('host all all 10.1.0.0 255.255.0.0 md5').address,
      ruleOf('host all all 10.1.0.0/16 md5').address,
    )
    assert.deepEqual(
      ruleOf('host all all fe80:: ffff:: md5').address,
      ruleOf('host all all fe80::/16 md5').address,
    )
  })

  test('keywords and host names are addresses; quoted, a keyword is a host name', () => {
    assert.deepEqual(ruleOf('host all all samenet md5').address, { kind: 'samenet' })
    assert.deepEqual(ruleOf('host all all db1.lan md5').address, {
      kind: 'hostname',
      name: 'db1.lan',
    })
    assert.deepEqual(ruleOf('host all all "all" md5').address, { kind: 'hostname', name: 'all' })
  })

  test('local rules have no address', () => {
    assert.equal(ruleOf('local all all peer').address, undefined)
  })

  for (const [line, field, problem, major] of [
    ['hots all all all md5', 'type', /"hots" is none of local, host/, MAJOR],
    ['host,local all all all md5', 'type', /not a single word/, MAJOR],
    ['hostgssenc all all all gss', 'type', /"hostgssenc"/, 11],
    ['host', 'database', /missing/, MAJOR],
    ['host all', 'user', /missing/, MAJOR],
    ['host all all', 'address', /missing/, MAJOR],
    ['host all all 10.0.0.1,10.0.0.2 md5', 'address', /more than one/, MAJOR],
    ['host all all 10.0.0.0/33 md5', 'address', /prefix length/, MAJOR],
    ['host all all 10.0.0.0/ md5', 'address', /prefix length/, MAJOR],
    ['host all all db1/24 md5', 'address', /neither/, MAJOR],
    ['host all all 10.0.0.1 md5', 'IP mask', /prefix length/, MAJOR],
    ['host all all 10.0.0.1', 'IP mask', /prefix length/, MAJOR],
    ['host all all 10.0.0.1 ffff:: md5', 'IP mask', /different IP versions/, MAJOR],
    ['host all all all', 'auth-method', /missing/, MAJOR],
    ['host all all all md5,trust', 'auth-method', /more than one/, MAJOR],
    ['host all all all scram', 'auth-method', /"scram" does not exist/, MAJOR],
    ['host all all all oauth', 'auth-method', /from PostgreSQL 18/, 17],
    ['host all all all peer', 'auth-method', /type local only/, MAJOR],
    ['local all all gss', 'auth-method', /not possible/, MAJOR],
    ['host all all all cert', 'auth-method', /hostssl only/, MAJOR],
    ['host all all all md5 map', 'auth-options', /"map" is not name=value/, MAJOR],
  ] as const) {
    test(`"${line}" is refused for its ${field} on ${major}`, () => {
      const found = problemOf(line, major)
      assert.equal(found.field, field)
      assert.match(found.problem, problem)
    })
  }

  test('include lines count from 16 on', () => {
    for (const line of ['include x', 'include_if_exists "x y"', 'include_dir d']) {
      assert.equal(parseHba(line, 16)[0]?.kind, 'include')
      assert.equal(problemOf(line, 15).field, 'type')
    }
  })

  test('entries know their line', () => {
    const entries = parseHba('# c\n\nlocal all all trust\nhots\n', MAJOR)
    assert.deepEqual(
      entries.map(({ kind, line, text }) => [kind, line, text]),
      [
        ['rule', 3, 'local all all trust'],
        ['problem', 4, 'hots'],
      ],
    )
  })
})

suite('lines of an operator', () => {
  test('each bad one is named by its index', () => {
    const lines = [
      'host all all all md5',
      '# fine',
      '',
      'host all all',
      'local all all trust\\',
      'a\nb',
    ]
    assert.deepEqual(
      findHbaProblems(lines, MAJOR).map(({ index, field }) => [index, field]),
      [
        [3, 'address'],
        [4, 'type'],
        [5, 'type'],
      ],
    )
  })
})
