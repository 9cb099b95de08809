import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseHba } from '../../../src/postgres/hba-file.ts'
import { type HbaConnection, matchHba } from '../../harness/hba-match.ts'

const MAJOR = 18

const connection: HbaConnection = {
  type: 'host',
  replication: false,
  database: 'shop',
  user: 'anna',
  address: '10.1.2.3',
  ssl: false,
}
const replication: HbaConnection = { ...connection, replication: true, user: 'repl' }

function decides(
  text: string,
  wanted: HbaConnection,
  major = MAJOR,
): { line: number | undefined; uncertain: number[] } {
  const verdict = matchHba(parseHba(text, major), wanted, major)
  return {
    line: verdict.decides?.line,
    uncertain: verdict.uncertain.map((entry) => entry.line),
  }
}

suite('pg_hba.conf match', () => {
  test('the first rule that matches decides', () => {
    const text = 'host all all 10.0.0.0/8 reject\nhost all all all trust\n'
    assert.deepEqual(decides(text, connection), { line: 1, uncertain: [] })
  })

  test('no rule: PostgreSQL has no entry', () => {
    assert.deepEqual(decides('local all all trust\n', connection), {
      line: undefined,
      uncertain: [],
    })
  })

  test('"all" does not match physical replication, "replication" nothing else', () => {
    const text = 'host all all all trust\nhost replication all all md5\n'
    assert.equal(decides(text, replication).line, 2)
    assert.equal(decides('host replication all all md5\n', connection).line, undefined)
  })

  test('a quoted keyword is a name', () => {
    assert.equal(decides('host "all" all all trust\n', connection).line, undefined)
    assert.equal(decides('host "replication" repl all md5\n', replication).line, undefined)
    const named = { ...connection, database: 'replication' }
    assert.equal(decides('host "replication" all all md5\n', named).line, 1)
  })

  for (const [rule, wanted, matches] of [
    ['local all all trust', { type: 'local' }, true],
    ['host all all all trust', { type: 'local' }, false],
    ['hostssl all all all trust', { ssl: true }, true],
    ['hostssl all all all trust', { ssl: false }, false],
    ['hostnossl all all all trust', { ssl: true }, false],
    ['hostnogssenc all all all trust', { ssl: true }, true],
    ['hostgssenc all all all trust', {}, false],
    ['host all all 10.1.2.3/32 trust', {}, true],
    ['host all all 10.1.2.4/32 trust', {}, false],
    ['host all all 10.1.2.0 255.255.255.0 trust', {}, true],
    ['host all all ::/0 trust', {}, false],
    ['host all all ::1/128 trust', { address: '::1' }, true],
    ['host shop,x anna all trust', {}, true],
    ['host Shop anna all trust', {}, false],
    ['host sameuser all all trust', {}, false],
    ['host sameuser all all trust', { database: 'anna' }, true],
    ['host all +anna all trust', {}, true],
  ] as const) {
    test(`"${rule}" ${matches ? 'matches' : 'does not match'} ${JSON.stringify(wanted)}`, () => {
      const { line, uncertain } = decides(rule, { ...connection, ...wanted })
      assert.deepEqual([line, uncertain], [matches ? 1 : undefined, []])
    })
  }

  for (const rule of [
    'host all all db1.lan reject',
    'host all all samenet reject',
    'host all +group all reject',
    'host samerole all all reject',
    'host @file all all reject',
    'host all @file all reject',
    'host /^s all all reject',
    'include other.conf',
  ]) {
    test(`"${rule}" may decide before a later rule`, () => {
      const text = `${rule}\nhost all all all trust\n`
      assert.deepEqual(decides(text, connection), { line: 2, uncertain: [1] })
    })
  }

  test('an uncertain rule that cannot match for another reason is out', () => {
    assert.deepEqual(decides('host other all db1.lan reject\n', connection).uncertain, [])
  })

  test('before 16 a slash begins an ordinary name', () => {
    const wanted = { ...connection, database: '/^s' }
    assert.equal(decides('host /^s all all trust\n', wanted, 15).line, 1)
  })

  test('a line PostgreSQL refuses never matches', () => {
    assert.equal(decides('host all all all nothing\n', connection).line, undefined)
  })
})
