/**
 * Barman's configuration files: found, read, inherited, refused.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadBarmanConfig } from '../../../../src/config/barman/load.ts'
import type { BarmanConfig } from '../../../../src/config/barman/model.ts'
import { SERVER_OPTIONS } from '../../../../src/config/barman/options.ts'
import { temporaryDirectory } from '../../../harness/temporary-directory.ts'

const SEED = `[barman]
barman_user = barman
configuration_files_directory = DIR/barman.d
barman_home = /var/lib/barman
log_file = /var/log/barman/barman.log
; a comment
minimum_redundancy = 1
retention_policy = RECOVERY WINDOW OF 4 WEEKS
`
const SERVER = `[192.168.100.10]
description = "Primary of 100%%"
ssh_command = ssh postgres@192.168.100.10
conninfo = host=192.168.100.10 user=barman dbname=postgres
streaming_conninfo = host=192.168.100.10 user=streaming_barman
backup_method = postgres
streaming_archiver = on
slot_name = barman
path_prefix = "/usr/pgsql-11/bin"
`

async function load(main: string, files: Record<string, string> = {}): Promise<BarmanConfig> {
  await using base = temporaryDirectory()
  await mkdir(join(base.path, 'barman.d'))
  const file = join(base.path, 'barman.conf')
  await writeFile(file, main.replaceAll('DIR', base.path))
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(base.path, 'barman.d', name), text)
  }
  return await loadBarmanConfig({ file, environmentFile: undefined, home: undefined })
}

test('the how-to’s two files give its server', async () => {
  const config = await load(SEED, { 'main.conf': SERVER, 'not.txt': '[x]\n' })
  assert.deepEqual(config.warnings, [])
  assert.deepEqual(config.errors, [])
  const [server, ...more] = config.servers
  assert.equal(more.length, 0)
  assert.equal(server?.name, '192.168.100.10')
  assert.deepEqual(server?.problems, [])
  assert.equal(server?.description, 'Primary of 100%')
  assert.equal(server?.slotName, 'barman')
  assert.equal(server?.streamingArchiver, true)
  assert.equal(server?.archiver, false)
  assert.equal(server?.incomingDirectory, '/var/lib/barman/192.168.100.10/incoming')
  assert.equal(server?.options.get('path_prefix'), '/usr/pgsql-11/bin')
  assert.equal(server?.minimumRedundancy, 1)
  assert.deepEqual(server?.retention, {
    kind: 'window',
    ms: 28 * 86_400_000,
    text: 'RECOVERY WINDOW OF 4 WEEKS',
  })
  assert.deepEqual(server?.notices, [
    'ssh_command has no effect: the base backup comes over the replication protocol, nothing is copied with rsync',
  ])
})

test('all 109 server options are known', () => {
  assert.equal(SERVER_OPTIONS.size, 109)
})

test('an unknown option and a bad value are warned about in Barman’s words', async () => {
  const { warnings, servers } = await load(
    `${SEED}[pg]\nconninfo = host=a\nbadopt = 1\nminimum_redundancy = many\n`,
  )
  assert.deepEqual(warnings, [
    'Invalid configuration option "badopt" in [pg] section.',
    "Ignoring invalid configuration value 'many' for key minimum_redundancy in [pg] section: it is no whole number",
  ])
  assert.equal(servers[0]?.minimumRedundancy, 0)
})

test('what is not inheritable does not come from [barman]; None unsets what is', async () => {
  const main = `${SEED}conninfo = host=a\n[pg]\nconninfo = host=b\nretention_policy = None\n`
  const [server] = (await load(main)).servers
  assert.equal(server?.conninfo, 'host=b')
  assert.equal(server?.retention, undefined)
  const [without] = (await load(`${SEED}conninfo = host=a\n[pg]\nactive = off\n`)).servers
  assert.equal(without?.conninfo, undefined)
  assert.match(without?.problems[0] ?? '', /Missing 'conninfo' parameter for server 'pg'/)
  assert.equal(without?.active, false)
})

test('a lone percent sign is refused with its place and without the value', async () => {
  await assert.rejects(load(`${SEED}[pg]\nconninfo = host=a password=50%off\n`), (error: Error) => {
    assert.match(error.message, /"conninfo" in ".*barman\.conf" line 10: a "%" stands alone/)
    assert.doesNotMatch(error.message, /50%|%off/)
    return true
  })
})

test('references in a circle end', async () => {
  const text = `${SEED}[pg]\ndescription = %(cluster)s\ncluster = %(description)s\n`
  await assert.rejects(load(text), /go round in a circle/)
})

test('references that unfold to millions are refused at once', { timeout: 10_000 }, async () => {
  const chain = [
    'description',
    'ssh_command',
    'aws_profile',
    'aws_region',
    'gcp_project',
    'gcp_zone',
  ]
  const lines = chain.map(
    (key, index) => `${key} = ${`%(${chain[index + 1] ?? 'name'})s`.repeat(40)}`,
  )
  const why =
    /Cannot read "[a-z_]+" in ".*" line \d: its references unfold to more than any value is/
  await assert.rejects(load(SEED, { 'main.conf': `[main]\n${lines.join('\n')}\n` }), why)
  const long = `[main]\ndescription = ${'%(ssh_command)s'.repeat(90)}\nssh_command = ${'x'.repeat(100_000)}\n`
  await assert.rejects(load(SEED, { 'main.conf': long }), why)
  const open = `[main]\ndescription = %(name)s${'%(b s'.repeat(100_000)}\n`
  await assert.rejects(load(SEED, { 'main.conf': open }), /a "%" stands alone/)
})

test('two servers that share a directory stop every command', async () => {
  const { errors } = await load(
    `${SEED}[a]\nconninfo = host=a\n[b]\nconninfo = host=b\nincoming_wals_directory = /var/lib/barman/a/incoming\n`,
  )
  assert.equal(errors.length, 1)
  assert.match(errors[0] ?? '', /incoming_wals_directory=.* for server 'b' conflicts/)
})

test('encryption, snapshots and cloud addresses are refused, because they would not happen', async () => {
  const { servers } = await load(
    `${SEED}[a]\nconninfo = host=a\nencryption = gpg\nbackup_method = snapshot\nwals_directory = s3://b/w\n`,
  )
  assert.equal(servers[0]?.problems.length, 3)
})

test('a file beside with a filled [barman] section, the name all and a line of no form are refused', async () => {
  await assert.rejects(
    load(SEED, { 'x.conf': '[barman]\na = 1\n' }),
    /not empty \[barman\] section/,
  )
  await assert.rejects(load(`${SEED}[all]\n`), /reserved word 'all'/)
  await assert.rejects(load(`${SEED}[a]\nwords\n`), /line 10: it is no "key = value"/)
  await assert.rejects(load('a = 1\n'), /line 1: it stands in no section/)
  await assert.rejects(load('[barman]\n'), /"barman_home" is required/)
})

test('a missing file is told in Barman’s words', async () => {
  await assert.rejects(
    loadBarmanConfig({ file: '/nonexistent/b.conf', environmentFile: undefined, home: undefined }),
    { message: "Configuration file '/nonexistent/b.conf' does not exist" },
  )
})

test('keys may be indented: a line goes on only where it is deeper than its key', async () => {
  const { servers, warnings } = await load(
    `${SEED}[pg]\n    conninfo = host=a\n        user=b\n    streaming_archiver = on\n    slot_name = barman\n`,
  )
  const [server] = servers
  assert.deepEqual([warnings, server?.problems], [[], []])
  assert.equal(server?.conninfo, 'host=a\nuser=b')
  assert.equal(server?.slotName, 'barman')
  const indented = SEED.replaceAll(/^(?=\w)/gm, '\t')
  assert.equal((await load(`${indented}[pg]\nconninfo = host=a\n`)).barmanHome, '/var/lib/barman')
})

test('[DEFAULT] stands below every section', async () => {
  const { servers } = await load(
    `${SEED}[DEFAULT]\nconninfo = host=%(description)s\nslot_name = one\n[a]\ndescription = x\n[b]\nslot_name = two\n`,
  )
  assert.deepEqual(
    servers.map(({ name, conninfo, slotName }) => [name, conninfo, slotName]),
    [
      ['a', 'host=x', 'one'],
      ['b', 'host=', 'two'],
    ],
  )
})

test('a slot’s name is taken in lower case', async () => {
  const { servers, warnings } = await load(`${SEED}[pg]\nconninfo = host=a\nslot_name = Barman_1\n`)
  assert.deepEqual([servers[0]?.slotName, warnings], ['barman_1', []])
})

test('no value that an option cannot have is taken in silence', async () => {
  const wrong = {
    backup_compression: 'brotli',
    backup_compression_format: 'zip',
    backup_compression_level: 'high',
    backup_compression_location: 'moon',
    backup_compression_workers: 'many',
    backup_options: 'concurrent_backup, exclusive_backup',
    combine_mode: 'move',
    create_slot: 'perhaps',
    local_staging_path: 'tmp',
    recovery_options: 'get-wal, put-wal',
    recovery_staging_path: 'tmp',
    retention_policy_mode: 'manual',
    reuse_backup: 'move',
    snapshot_disks: ',',
    snapshot_provider: 'oracle',
    staging_location: 'moon',
    staging_path: 'tmp',
    wal_retention_policy: 'all',
    aws_snapshot_lock_mode: 'none at all',
    aws_snapshot_lock_cool_off_period: '73',
    aws_snapshot_lock_duration: '0',
    azure_credential: 'mine',
  }
  const lines = Object.entries(wrong).map(([key, value]) => `${key} = ${value}\n`)
  const { servers, warnings } = await load(`${SEED}[pg]\nconninfo = host=a\n${lines.join('')}`)
  for (const [key, value] of Object.entries(wrong)) {
    const said = `Ignoring invalid configuration value '${value}' for key ${key} in [pg] section: `
    assert.ok(
      warnings.some((each) => each.startsWith(said)),
      key,
    )
  }
  assert.deepEqual(servers[0]?.recoveryOptions, [])
  assert.deepEqual(servers[0]?.notices.length, 1, 'only backup_method is left to be said')
})

test('what pg_basebackup could not compress disables the server', async () => {
  const pg = `${SEED}[pg]\nconninfo = host=a\nbackup_method = postgres\nbackup_compression = `
  const problemsOf = async (more: string): Promise<readonly string[]> =>
    (await load(`${pg}${more}`)).servers[0]?.problems ?? []
  assert.deepEqual(await problemsOf('zstd\nbackup_compression_level = -7\n'), [])
  assert.match(
    (await problemsOf('GZIP\nbackup_compression_level = 10\n')).join(),
    /level 10 unsupported by gzip: it takes 1 to 9/,
  )
  assert.match(
    (await problemsOf('lz4\nbackup_compression_workers = 2\n')).join(),
    /_workers is not/,
  )
  assert.match((await problemsOf('gzip\nbackup_compression_format = plain\n')).join(), /requires/)
})
