/**
 * What `barman: true` makes on the backup server's machine, and that Barman's side reads it as the cluster's own repository and slot.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { placeOf } from '../../../../src/barman/server/barman-place.ts'
import type { BackupHostFound, SeatSeen } from '../../../../src/cluster/found.ts'
import type { ServerPlan } from '../../../../src/build/plan/server-plan.ts'
import { clientFiles } from '../../../../src/cluster/machine/client-files.ts'
import { seatFiles } from '../../../../src/cluster/machine/seat-files.ts'
import { planClients, planSeat } from '../../../../src/build/plan/seat-plan.ts'
import type { BackupWanted, ClusterWanted } from '../../../../src/cluster/wanted.ts'
import { loadBarmanConfig } from '../../../../src/config/barman/load.ts'
import { systemClock } from '../../../../src/util/clock.ts'
import { temporaryDirectory } from '../../../harness/temporary-directory.ts'
import { server, wish } from '../../cluster/builders.ts'

const PRIMARY = server('db1', { role: 'primary', address: '192.168.100.10' })
const DAY_MS = 86_400_000

function wanted(change: Partial<BackupWanted> = {}): ClusterWanted {
  const whole = wish({ servers: [PRIMARY] })
  const { backup } = whole
  assert.ok(backup !== undefined)
  const host = { ...backup.host, local: false }
  return {
    ...whole,
    backup: { ...backup, host, repository: '/srv/50% full', barman: true, ...change },
  }
}

function seen(seat: Partial<SeatSeen>): BackupHostFound {
  const unitState = { text: undefined, isEnabled: false, activeState: 'inactive' }
  return {
    hostError: undefined,
    seen: {
      osUser: 'barman',
      hasUser: true,
      architecture: 'x86_64',
      usesSystemd: true,
      version: undefined,
      hasPackage: false,
      clusterFile: undefined,
      unit: unitState,
      seat: { hasHome: false, hasOtherMain: false, texts: new Map(), ...seat },
      wanted: {
        version: '1',
        directory: '/d',
        architecture: 'x86_64',
        clusterFile: '',
        unitText: '',
      },
    },
  }
}

function filesOf(wish: ClusterWanted): ReadonlyMap<string, string> {
  assert.ok(wish.backup !== undefined)
  const files = seatFiles(wish, { backup: wish.backup, osUser: 'barman', primary: PRIMARY })
  return new Map(files.map(({ path, content }) => [path, content]))
}

const written = ({ steps }: ServerPlan): readonly string[] =>
  steps.map((step) => ('path' in step ? step.path : step.action))

test('without the wish nothing is made; with it everything, once', () => {
  assert.deepEqual(planSeat(wanted({ barman: false }), seen({}), PRIMARY).steps, [])
  assert.deepEqual(written(planSeat(wanted(), seen({}), PRIMARY)), [
    '/var/lib/barman',
    '/usr/local/bin/barman',
    '/usr/local/bin/barman-wal-archive',
    '/usr/local/bin/barman-wal-restore',
    '/etc/barman.conf',
    '/etc/barman.d/shop.conf',
  ])
  const made = seen({ hasHome: true, texts: filesOf(wanted()) })
  assert.deepEqual(planSeat(wanted(), made, PRIMARY), { steps: [], problems: [] })
})

test('psql is installed where there is none and something can', () => {
  const made = { hasHome: true, texts: filesOf(wanted()) }
  const { steps } = planSeat(wanted(), seen({ ...made, psqlFrom: 'apt-get' }), PRIMARY)
  assert.deepEqual(
    steps.map(({ action, diff }) => [action, diff[0]?.text]),
    [['seat-psql', `package postgresql-client-${wanted().postgres.version}`]],
  )
})

test('Barman’s clients are made where a server has a way into the repository, and stay others’ where they are', () => {
  const plain = wanted()
  const none = new Map([['db1', new Map<string, string | undefined>()]])
  assert.deepEqual(planClients(plain, none).steps, [], 'no way without replication.archive')
  const wish = { ...plain, replication: { ...plain.replication, archivesToRepository: true } }
  const remote = { ...PRIMARY, host: { ...PRIMARY.host, local: false, address: '192.168.100.10' } }
  const there = { ...wish, servers: [remote] }
  assert.deepEqual(written(planClients(there, none)), [
    '/usr/local/bin/barman-wal-archive',
    '/usr/local/bin/barman-wal-restore',
    '/etc/backstay/ways/shop/db1',
  ])
  const files = clientFiles('shop', remote).map(({ path, content }) => [path, content] as const)
  assert.deepEqual(planClients(there, new Map([['db1', new Map(files)]])), {
    steps: [],
    problems: [],
  })
  const foreign = new Map([...files, ['/usr/local/bin/barman-wal-archive', '#!/usr/bin/python3\n']])
  const { steps, problems } = planClients(there, new Map([['db1', foreign]]))
  assert.deepEqual(steps, [])
  assert.match(problems.map(({ message }) => message).join(), /barman-wal-archive.*not Backstay's/)
  const full = new Map([
    ...files,
    ['/usr/local/bin/barman-wal-archive', '# Written by backstay install-names.'],
  ])
  assert.deepEqual(planClients(there, new Map([['db1', full]])).problems, [])
})

test('another primary changes the server’s file and nothing else', () => {
  const made = seen({ hasHome: true, texts: filesOf(wanted()) })
  const other = { ...PRIMARY, address: '192.168.100.11' }
  assert.deepEqual(written(planSeat(wanted(), made, other)), ['/etc/barman.d/shop.conf'])
})

test('what is not ours stays: a program is said, a main file is the operator’s', () => {
  const texts = new Map([...filesOf(wanted()), ['/usr/local/bin/barman', '#!/usr/bin/python3\n']])
  const { steps, problems } = planSeat(
    wanted(),
    seen({ hasHome: true, hasOtherMain: true, texts }),
    PRIMARY,
  )
  assert.deepEqual(steps, [])
  assert.match(
    problems.map(({ message }) => message).join(),
    /"\/usr\/local\/bin\/barman".*not Backstay's/,
  )
})

test('two clusters whose repositories have other OS users do not take Barman’s user from each other', () => {
  const main = (filesOf(wanted()).get('/etc/barman.conf') ?? '').replace('= barman', '= backstay')
  const texts = new Map([...filesOf(wanted()), ['/etc/barman.conf', main]])
  const { steps, problems } = planSeat(wanted(), seen({ hasHome: true, texts }), PRIMARY)
  assert.deepEqual(steps, [])
  assert.match(problems.map(({ message }) => message).join(), /gave it the OS user "backstay"/)
})

test('Barman’s commands find the cluster’s repository, slot and retention in it', async () => {
  await using base = temporaryDirectory()
  const files = filesOf(
    wanted({ retention: { windowMs: 14 * DAY_MS, count: undefined, minimum: 2 } }),
  )
  const file = join(base.path, 'barman.conf')
  const own = files.get('/etc/barman.conf')?.replace('/etc/barman.d', `${base.path}/barman.d`)
  await mkdir(join(base.path, 'barman.d'))
  await writeFile(file, own ?? '')
  await writeFile(join(base.path, 'barman.d/shop.conf'), files.get('/etc/barman.d/shop.conf') ?? '')
  const config = await loadBarmanConfig({ file, environmentFile: undefined, home: undefined })
  assert.deepEqual([config.warnings, config.errors, config.barmanUser], [[], [], 'barman'])
  const [found] = config.servers
  assert.ok(found !== undefined)
  assert.deepEqual(found.problems, [])
  assert.equal(found.name, 'shop')
  assert.equal(found.slotName, wanted().backup?.slot)
  assert.match(
    found.conninfo ?? '',
    /host='?192\.168\.100\.10'? .*passfile='\/srv\/50% full\/\.pgpass'/,
  )
  assert.equal(found.retention?.text, 'RECOVERY WINDOW OF 14 DAYS')
  const { store, name } = placeOf({ config, clock: systemClock }, found)
  assert.deepEqual([store.location, name], ['/srv/50% full', 'shop'])
})
