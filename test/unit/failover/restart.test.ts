/**
 * Which servers a restart takes and when it is refused, and what check says of a program that an update has replaced.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { programInstalled } from '../../../src/report/checks/program.ts'
import type { CheckFacts } from '../../../src/report/checks/finding.ts'
import { parseProgram } from '../../../src/cluster/look/look-program.ts'
import { planRestart } from '../../../src/build/plan/restart-plan.ts'
import { bend, healthy, stopped, wish } from '../cluster/builders.ts'

const WANTED = wish()
const ALL = { switchover: false }

test('standbys come first, the primary last, in place or by a switchover', () => {
  const found = healthy(WANTED)
  const { primary, standbys, lead } = planRestart(WANTED, found, ALL)
  assert.deepEqual([primary.name, standbys, lead], ['db1', ['db2'], 'restart'])
  assert.equal(planRestart(WANTED, found, { switchover: true }).lead, 'switchover')
  const one = planRestart(WANTED, found, { server: 'db2', switchover: false })
  assert.deepEqual([one.standbys, one.lead], [['db2'], 'none'])
  const lead1 = planRestart(WANTED, found, { server: 'db1', switchover: false })
  assert.deepEqual([lead1.standbys, lead1.lead], [[], 'restart'])
})

test('nothing is restarted while a standby that should be there is not', () => {
  const found = healthy(WANTED)
  const detached = bend(found, 'db2', ({ sql }) => ({ sql: { ...sql, receiver: undefined } }))
  const off = bend(found, 'db2', () => ({
    hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
  }))
  for (const [away, why] of [
    [detached, /does not stream/],
    [stopped(found, 'db2'), /does not run/],
    [off, /no route/],
  ] as const) {
    for (const server of [undefined, 'db1']) {
      assert.throws(() => planRestart(WANTED, away, { server, switchover: false }), {
        code: 'NOT_READY',
        message: why,
      })
    }
  }
  // It may be what a restart cures.
  assert.deepEqual(planRestart(WANTED, detached, { server: 'db2', ...ALL }).standbys, ['db2'])
  assert.throws(() => planRestart(WANTED, stopped(found, 'db2'), { server: 'db2', ...ALL }), {
    code: 'NOT_READY',
  })
})

test('names nobody has, and a switchover of a standby, are refused', () => {
  const found = healthy(WANTED)
  assert.throws(() => planRestart(WANTED, found, { server: 'db9', ...ALL }), { code: 'USAGE' })
  assert.throws(() => planRestart(WANTED, found, { server: 'db2', switchover: true }), {
    code: 'USAGE',
  })
})

test('a program that was replaced, or another version in its place, is told with the restart that ends it', () => {
  const found = healthy(WANTED)
  const version = found.servers[0]?.sql?.version ?? ''
  const path = '/usr/lib/postgresql/15/bin/postgres'
  const judge = (text: string) => {
    const program = parseProgram(text)
    assert.ok(program !== undefined)
    const programs = new Map([['db1', program]])
    return programInstalled({ found, programs } as unknown as CheckFacts)[0]
  }
  const same = `postgres (PostgreSQL) ${version}\n`
  assert.equal(judge(`${path}\n${same}`)?.status, 'ok')
  assert.equal(judge(`${path} (deleted)\n${same}`)?.status, 'warn')
  const newer = judge(`${path} (deleted)\npostgres (PostgreSQL) 99.1\n`)
  assert.match(newer?.found ?? '', /in \/usr.*postgres is PostgreSQL 99\.1 now/)
  assert.match(newer?.remedy ?? '', /backstay restart db1/)
  assert.equal(judge(`${path}\npostgres (PostgreSQL) 99.1\n`)?.status, 'warn')
  assert.match(judge(`${path} (deleted)\n`)?.found ?? '', /is nothing that runs now/)
  assert.equal(parseProgram(''), undefined)
})
