/**
 * What `replication.archive: backup` and `cloneFrom: backup` need of the rest of the file.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { problemsOf, read } from './machine.ts'

const BASE = `cluster: shop
postgres: { version: 18 }
servers:
  db1: { role: primary, host: 192.168.100.10 }
  db2: { host: 192.168.100.11 }
`
const VAULT = 'backup: { host: 10.0.0.9 }\n'
const ARCHIVE = 'replication: { archive: backup }\n'
const clone = (text: string): string => text.replace('11 }', '11, cloneFrom: backup }')

describe('archive: backup', () => {
  test('is a word, not a directory', () => {
    const { wanted } = read(`${BASE}${VAULT}${ARCHIVE}`)
    assert.equal(wanted.replication.archiveDirectory, undefined)
    assert.equal(wanted.replication.archivesToRepository, true)
    assert.equal(wanted.backup?.address, '10.0.0.9')
    const local = read(
      BASE.replaceAll(/192.168.100.1\d/g, 'localhost').replace(
        'db2: {',
        'db2: { port: 5433, directory: /d,',
      ) + 'replication: { archive: ./backup }\n',
    )
    assert.equal(local.wanted.replication.archiveDirectory, '/etc/shop/backup')
  })

  test('needs a backup part', () => {
    assert.deepEqual(problemsOf(`${BASE}${ARCHIVE}`), [
      '6:25 replication.archive says backup: there is no backup part. Add one, or name a directory',
    ])
  })

  test('needs an address that the servers reach', () => {
    const [problem] = problemsOf(`${BASE}backup: { host: localhost }\n${ARCHIVE}`)
    assert.match(problem ?? '', /backup.address must be one that the servers reach/)
    const told = `${BASE}backup: { host: localhost, address: vault.example }\n${ARCHIVE}`
    assert.deepEqual(problemsOf(told), [])
  })

  test('stores as PostgreSQL’s OS user where server and repository share a machine', () => {
    const shared = `${BASE}backup: { host: 192.168.100.10, osUser: other }\n${ARCHIVE}`
    assert.match(problemsOf(shared)[0] ?? '', /backup.osUser must be "postgres"/)
  })

  test('refuses a directory that ssh could not name', () => {
    const text = `${BASE}${VAULT}${ARCHIVE}`.replace('11 }', `11, directory: '/a"b' }`)
    assert.match(problemsOf(text)[0] ?? '', /servers.db2.directory must have no quotation mark/)
  })
})

describe('cloneFrom: backup', () => {
  test('becomes a wish of the server', () => {
    const { wanted } = read(`${clone(BASE)}${VAULT}`)
    assert.equal(wanted.servers[1]?.clonesFromBackup, true)
    assert.equal(wanted.servers[0]?.clonesFromBackup, undefined)
  })

  test('needs a backup server on another machine', () => {
    assert.match(problemsOf(clone(BASE))[0] ?? '', /cloneFrom says backup: there is no backup part/)
    const same = `${clone(BASE)}backup: { host: 192.168.100.11 }\n`
    assert.match(problemsOf(same)[0] ?? '', /that is for a server on another machine/)
    const here = `${clone(BASE)}backup: { host: localhost }\n`
    assert.match(problemsOf(here)[0] ?? '', /set backup.address/)
  })
})
