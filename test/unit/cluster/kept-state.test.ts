/**
 * The copy of identity and passwords on the servers' machines: what stands in it, what is taken for one, and when it is written.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makePlan } from '../../../src/build/plan/plan.ts'
import { keptRoles, keptStateText, parseKeptState } from '../../../src/cluster/state/kept-state.ts'
import { healthy, wish } from './builders.ts'

const WANTED = wish()
const FOUND = healthy(WANTED)
const PASSWORDS = new Map(keptRoles(WANTED).map((role) => [role, `secret-${role}`]))

test('what is written is read again, and nothing is written while something of it is not known', () => {
  const text = keptStateText(WANTED, FOUND.identity, PASSWORDS)
  assert.ok(text !== undefined)
  const { identity, passwords } = parseKeptState(text, 'x')
  assert.deepEqual(identity, FOUND.identity)
  assert.deepEqual(new Map(Object.entries(passwords)), PASSWORDS)
  assert.equal(keptStateText(WANTED, undefined, PASSWORDS), undefined)
  assert.equal(keptStateText(WANTED, FOUND.identity, new Map()), undefined)
})

test('anything else is refused, and its text is not quoted', () => {
  const text = keptStateText(WANTED, FOUND.identity, PASSWORDS) ?? ''
  for (const bad of ['', '{', '[]', text.slice(1), text.replace('"format": 1', '"format": 2')]) {
    assert.throws(
      () => parseKeptState(bad, '"file" on "host"'),
      ({ message, hint }: { message: string; hint: string }) =>
        message.includes('"file" on "host"') && !`${message}${hint}`.includes('secret-'),
    )
  }
})

test('the plan writes it where it is missing or differs, once for each machine, and shows no secret', () => {
  const kept = new Map([
    ['db1', 'missing'],
    ['db2', 'ours'],
  ] as const)
  const steps = makePlan(WANTED, { ...FOUND, kept }).steps
  const keeping = steps.filter(({ action }) => action === 'keep-state')
  assert.deepEqual(
    keeping.map(({ server }) => server),
    ['db1'],
  )
  assert.doesNotMatch(JSON.stringify(keeping), /secret-/)
})
