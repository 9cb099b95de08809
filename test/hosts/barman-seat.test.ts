/**
 * `barman: true` in the backup part: after one `up` Barman's commands work on the cluster's own repository and slot, seen from both
 * sides.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { json } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const DATA = '/var/lib/postgresql/15/shop'

describe("Barman's seat on the backup server", { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: false })
    hosts.writeClusterFile(threeServers({ more: '  barman: true\n' }))
    json(await hosts.backstay('up', '--json'))
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  /** Types a line as user barman on the backup server's machine. */
  const barman = (line: string): string =>
    hosts.host('backup').run(`runuser -l barman -c '${line}'`)
  const slots = (): string =>
    hosts.sql('primary', 'SELECT slot_name FROM pg_replication_slots ORDER BY 1')

  test('switch-wal of the how-to brings WAL over at once, without cron, and cron starts no second receiver', () => {
    const before = slots()
    const switched = barman('barman switch-wal --force --archive --archive-timeout 60 shop')
    assert.match(switched, /The WAL file \w{24} has been closed on server 'shop'/)
    assert.match(barman('barman check shop; true'), /receive-wal running: OK/)
    barman('barman cron')
    assert.match(barman('barman list-processes shop'), /receive-wal/)
    assert.equal(slots(), before, 'no slot of its own')
  })

  test('cron does not take the place of a service that is stopped', () => {
    const vault = hosts.host('backup')
    vault.run('systemctl stop backstay-shop')
    assert.doesNotMatch(barman('barman cron'), /Starting streaming archiver/)
    assert.doesNotMatch(barman('barman list-processes shop'), /receive-wal/)
    vault.run('systemctl start backstay-shop')
    assert.match(vault.run('systemctl is-active backstay-shop'), /^active/)
  })

  test('backups taken on one side are listed, shown and restored on the other', async () => {
    assert.match(barman('barman backup --name ours shop'), /Backup completed/)
    json(await hosts.backstay('backup', '--json'))
    const seen = json(await hosts.backstay('backups', '--json')) as { backups: { id: string }[] }
    const ids = seen.backups.map(({ id }) => id).sort()
    const listed = barman('barman list-backups --minimal shop').trim().split('\n').sort()
    assert.equal(ids.length, 2)
    assert.doesNotMatch(barman('barman check shop; true'), /FAILED/)
    assert.deepEqual(listed, ids)
    const recovered = barman('barman recover shop latest /var/lib/barman/restored')
    assert.match(recovered, /successfully prepared for recovery/)
  })

  test('psql is there, and its passwords are the repository’s', () => {
    const asked = "psql -h 192.168.100.10 -U backstay_backup -d postgres -Atc 'SELECT 1'"
    assert.equal(hosts.host('backup').run(`runuser -l barman -c "${asked}"`), '1\n')
  })

  test('with replication.archive: backup the clients on a database server go through its own key', async () => {
    hosts.writeClusterFile(
      threeServers({ more: '  barman: true\nreplication: { archive: backup }\n' }),
    )
    json(await hosts.backstay('up', '--json'))
    assert.equal((await hosts.backstay('up')).stdout, 'nothing to do\n')
    const primary = hosts.host('primary')
    const client = (words: string) =>
      primary.tryRun(`cd ${DATA} && runuser -u postgres -- /usr/local/bin/${words}`)
    const said = client('barman-wal-archive --test -U barman vault shop DUMMY')
    assert.equal(said.stderr, '')
    assert.equal(said.stdout, 'Ready to accept WAL files for the server shop\n')
    const segment = hosts.sql('primary', 'SELECT pg_walfile_name(pg_switch_wal())')
    assert.deepEqual(client(`barman-wal-archive --zstd vault shop pg_wal/${segment}`).code, 0)
    assert.equal(client(`barman-wal-restore -P vault shop ${segment} /var/tmp/got`).code, 0)
    primary.run(`cmp /var/tmp/got ${DATA}/pg_wal/${segment} && rm /var/tmp/got`)
    const ends = [
      [`barman-wal-restore vault shop 0000000100000FFF00000001 /var/tmp/got`, 1],
      [`barman-wal-restore vault shop ${segment} /no/such/place`, 3],
      [`barman-wal-archive vault other pg_wal/${segment}`, 2],
      [`barman-wal-archive vault '../shop' pg_wal/${segment}`, 2],
      [`barman-wal-archive vault shop`, 2],
      [`barman-wal-archive --nonsense vault shop pg_wal/${segment}`, 2],
    ] as const
    for (const [words, code] of ends) assert.equal(client(words).code, code, words)
    assert.equal(primary.tryRun('ls /var/tmp/got*').code, 2, 'nothing half is left')
  })

  test('after a switchover barman’s commands go to the new primary, and a slot of the operator’s stays where it was', async () => {
    hosts.sql('primary', "SELECT pg_create_physical_replication_slot('barman', true)")
    json(await hosts.backstay('switchover', '--json'))
    assert.equal(hosts.sql('standby', 'SELECT pg_is_in_recovery()'), 'f')
    const switched = barman('barman switch-wal --force --archive --archive-timeout 60 shop')
    assert.match(switched, /has been closed on server 'shop'/)
    assert.match(barman('barman backup shop'), /Backup completed/)
    assert.doesNotMatch(barman('barman check shop; true'), /FAILED/)
    const named = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'barman'"
    assert.equal(hosts.sql('primary', named), '1')
    assert.equal(hosts.sql('standby', named), '0')
  })

  test('a second up has nothing to do; what is there and is not ours stays and is said', async () => {
    const plan = json(await hosts.backstay('plan', '--json')) as { steps: unknown[] }
    assert.deepEqual(plan.steps, [])
    const vault = hosts.host('backup')
    vault.run("printf '#!/bin/sh\\n' >/usr/local/bin/barman-wal-archive")
    const again = JSON.stringify(json(await hosts.backstay('plan', '--json')))
    assert.match(again, /barman-wal-archive.*is not Backstay's/)
    vault.run('rm /usr/local/bin/barman-wal-archive')
    json(await hosts.backstay('up', '--json'))
    assert.match(vault.run('cat /usr/local/bin/barman-wal-archive'), /Written by backstay/)
  })
})
