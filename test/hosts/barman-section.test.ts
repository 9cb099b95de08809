/**
 * The Barman section of the how-to, typed on its third host: Backstay's names in Barman's place, the two files, the slot, cron,
 * switch-wal, check, backup, list-backups, recover.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { json } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import { threeServers } from './rig/cluster-file.ts'
import type { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const NAME = '192.168.100.10'
const ACCESS = 'access: [ '
const STREAMING = '"host replication streaming_barman 192.168.100.12/32 scram-sha-256", '

const GLOBAL_FILE = `[barman]
barman_user = barman
configuration_files_directory = /etc/barman.d
barman_home = /var/lib/barman
log_file = /var/lib/barman/barman.log
`
const SERVER_FILE = `[${NAME}]
description = "Main PostgreSQL server"
conninfo = host=${NAME} user=barman dbname=postgres
streaming_conninfo = host=${NAME} user=streaming_barman
backup_method = postgres
streaming_archiver = on
slot_name = barman
path_prefix = "/usr/lib/postgresql/15/bin"
`
const PASSWORDS = `${NAME}:*:*:barman:barman-secret\n${NAME}:*:*:streaming_barman:stream-secret\n`

describe('the Barman section of the how-to', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await startBuiltCluster()
    hosts.writeClusterFile(threeServers().replace(ACCESS, `${ACCESS}${STREAMING}`))
    json(await hosts.backstay('up', '--json'))
    hosts.sql('primary', "CREATE ROLE barman LOGIN SUPERUSER PASSWORD 'barman-secret'")
    hosts.sql('primary', "CREATE ROLE streaming_barman LOGIN REPLICATION PASSWORD 'stream-secret'")
    const vault = hosts.host('backup')
    vault.run('useradd --system --create-home --home-dir /var/lib/barman --shell /bin/bash barman')
    vault.run('/usr/local/bin/backstay install-names /usr/local/bin')
    vault.run(`mkdir /etc/barman.d; printf %s '${GLOBAL_FILE}' >/etc/barman.conf`)
    vault.run(`printf %s '${SERVER_FILE}' >/etc/barman.d/main.conf`)
    barman(`umask 077; printf %s "${PASSWORDS}" >~/.pgpass`)
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  /** Types a line as user barman on the third host. */
  const barman = (line: string): string =>
    hosts.host('backup').run(`runuser -l barman -c '${line}'`)

  test('slot, cron and switch-wal bring WAL over, and check finds nothing wrong', () => {
    assert.match(barman(`barman receive-wal --create-slot ${NAME}`), /slot .barman. created/)
    assert.match(barman('barman cron'), /Starting streaming archiver/)
    const switched = barman(`barman switch-wal --force --archive --archive-timeout 60 ${NAME}`)
    assert.match(switched, /The WAL file \w{24} has been closed on server/)
    assert.doesNotMatch(barman(`barman check ${NAME}`), /FAILED/)
  })

  test('a backup is taken, listed, and recovered into a directory with its WAL', () => {
    hosts.sql('primary', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS n')
    assert.match(barman(`barman backup ${NAME}`), /Backup completed/)
    barman(`barman switch-wal --force --archive --archive-timeout 60 ${NAME}`)
    assert.match(barman(`barman list-backups ${NAME}`), /^192\.168\.100\.10 \d{8}T\d{6} - F - /)
    const recovered = barman(`barman recover ${NAME} latest /var/lib/barman/restored`)
    assert.match(recovered, /successfully prepared for recovery/)
    assert.match(barman('ls /var/lib/barman/restored'), /PG_VERSION/)
  })

  test('the service of the backup server is not disturbed by it', async () => {
    barman(`barman receive-wal --stop ${NAME}`)
    json(await hosts.backstay('verify', '--json'))
    json(await hosts.backstay('backup', '--json'))
  })
})
