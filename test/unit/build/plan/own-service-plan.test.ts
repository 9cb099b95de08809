/**
 * The service of a backup server that is the machine Backstay itself runs on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterFound, OwnServiceFound } from '../../../../src/cluster/found.ts'
import { makePlan, type Plan } from '../../../../src/build/plan/plan.ts'
import { type Bend, healthy, wish } from '../../cluster/builders.ts'

const WANTED = wish()
const TEXT = 'ExecStart=/opt/backstay serve\n'
const UP = { text: TEXT, isEnabled: true, activeState: 'active' }
const NO_UNIT = { text: undefined, isEnabled: false, activeState: 'inactive' }

function own(change: Bend<OwnServiceFound> = {}): OwnServiceFound {
  return {
    state: UP,
    otherFile: undefined,
    osUser: 'postgres',
    configFile: '/etc/backstay/backstay.yaml',
    wantedText: TEXT,
    isServedElse: false,
    obstacle: undefined,
    ...change,
  }
}

function planOf(ownService: ClusterFound['ownService']): Plan {
  return makePlan(WANTED, { ...healthy(WANTED), ownService })
}

test('where there is no unit it is written, after the servers, and says who runs what', () => {
  const { steps, problems } = planOf(own({ state: NO_UNIT }))
  assert.deepEqual(
    steps.map(({ id, title }) => `${id}: ${title}`),
    ['vault.own-service: write and start service backstay-shop.service'],
  )
  assert.match(
    steps[0]?.diff[0]?.text ?? '',
    /OS user postgres, with \/etc\/backstay\/backstay\.yaml/,
  )
  assert.deepEqual(problems, [])
})

test('a service as it should be is left alone, and so is a backstay serve that somebody else started', () => {
  const plans = [
    own(),
    own({ state: NO_UNIT, isServedElse: true }),
    'no-systemd',
    'not-root',
  ] as const
  for (const found of [...plans, undefined]) {
    const { steps, problems } = planOf(found)
    assert.deepEqual([steps, problems], [[], []])
  }
})

test('one that stopped is started, one of an earlier Backstay or cluster file is restarted', () => {
  const [started] = planOf(own({ state: { ...UP, activeState: 'failed' } })).steps
  assert.equal(started?.title, 'start service backstay-shop.service')
  assert.equal(started.reason, 'it is failed')
  const [restarted] = planOf(own({ wantedText: `# newer\n${TEXT}` })).steps
  assert.equal(restarted?.title, 'write and restart service backstay-shop.service')
  assert.equal(restarted.effect, 'restart')
  const [enabled] = planOf(own({ state: { ...UP, isEnabled: false } })).steps
  assert.equal(enabled?.title, 'write and restart service backstay-shop.service')
})

test('what its OS user cannot run, and a unit of another cluster, are warnings and no step', () => {
  const cannot = planOf(own({ state: NO_UNIT, obstacle: 'permission denied' }))
  assert.deepEqual(cannot.steps, [])
  assert.equal(cannot.problems[0]?.severity, 'warning')
  assert.match(cannot.problems[0].message, /OS user "postgres".*cannot run.*permission denied/)
  const other = planOf(own({ otherFile: '/srv/shop.yaml', wantedText: 'another' }))
  assert.deepEqual(other.steps, [])
  assert.match(other.problems[0]?.message ?? '', /another cluster of this name.*\/srv\/shop\.yaml/)
  const unknown = planOf({ code: 'HOST_PRIVILEGE', message: 'no such user', hint: 'make him' })
  assert.match(unknown.problems[0]?.message ?? '', /Cannot make a service.*no such user/)
})

test('a backup part that left the file is told with its service when there is one', () => {
  const without = { ...WANTED, backup: undefined }
  const left = { servers: [], backup: WANTED.backup }
  const told = (hasLeftService: boolean): string =>
    makePlan(without, { ...healthy(without), left, hasLeftService }).problems[0]?.message ?? ''
  assert.match(told(true), /service backstay-shop\.service on this machine, slot/)
  assert.doesNotMatch(told(false), /service/)
})
