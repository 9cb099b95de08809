import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configurationPlaces } from '../../../src/cluster/look/look-files.ts'
import { bend, healthy, server, setting, wish } from './builders.ts'
import { makePlan } from '../../../src/build/plan/plan.ts'

const said = (entries: Readonly<Record<string, string>>) => ({
  settings: new Map(Object.entries(entries).map(([name, value]) => [name, setting(name, value)])),
})

test('the configuration is in the data directory, or where the cluster file says', () => {
  const db1 = server('db1')
  const places = configurationPlaces(db1, undefined)
  assert.deepEqual(places, {
    mainPath: '/data/db1/postgresql.conf',
    hbaPath: '/data/db1/pg_hba.conf',
    strays: [],
  })
  const debian = server('db1', { configFile: '/etc/postgresql/15/main/postgresql.conf' })
  const sql = said({ config_file: '/etc/postgresql/15/main/postgresql.conf' })
  for (const answer of [sql, undefined]) {
    const { mainPath, strays } = configurationPlaces(debian, answer)
    assert.deepEqual([mainPath, strays], ['/etc/postgresql/15/main/postgresql.conf', []])
  }
  const inside = configurationPlaces(db1, said({ config_file: '/data/db1/conf/main.conf' }))
  assert.equal(inside.mainPath, '/data/db1/conf/main.conf')
})

test('a place that only the server names is not used', () => {
  const db1 = server('db1')
  for (const path of [
    '/etc/cron.d/x',
    '/data/db1/../../etc/passwd',
    '/data/db10/postgresql.conf',
  ]) {
    const { mainPath, strays } = configurationPlaces(db1, said({ config_file: path }))
    assert.equal(mainPath, '/data/db1/postgresql.conf')
    assert.deepEqual(strays, [{ key: 'configFile', path }])
  }
  const { hbaPath, strays } = configurationPlaces(db1, said({ hba_file: '/etc/shadow' }))
  assert.equal(hbaPath, '/data/db1/pg_hba.conf')
  assert.deepEqual(strays, [{ key: 'hbaFile', path: '/etc/shadow' }])
})

test('the plan stops and says which key would name it', () => {
  const wanted = wish()
  const found = bend(healthy(wanted), 'db1', ({ files }) => ({
    files: { ...files, strays: [{ key: 'configFile' as const, path: '/etc/cron.d/x' }] },
  }))
  const { problems } = makePlan(wanted, found)
  assert.deepEqual(
    problems.map(({ code, server: name, hint }) => [code, name, hint]),
    [
      [
        'DRIFT',
        'db1',
        'If that is right, say so in the cluster file: servers.db1.configFile: /etc/cron.d/x',
      ],
    ],
  )
})
