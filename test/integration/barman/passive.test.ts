/**
 * A passive server: its Barman copies what its primary holds, checks it, and can restore from it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPostgres, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { type BarmanHouse, barmanHouse } from './barman-house.ts'
import { compare } from './recorded.ts'

function primaryConf(pg: TestServer): string {
  const connection = `host=127.0.0.1 port=${pg.port} user=postgres password=${pg.password}`
  return `[main]
conninfo = ${connection} dbname=postgres
streaming_conninfo = ${connection}
backup_method = postgres
archiver = on
immediate_checkpoint = true
`
}

/** A program that runs its first word as a shell does, where `house` is: in ssh's place. */
async function wayTo(house: BarmanHouse): Promise<string> {
  const path = join(house.directory, 'way')
  const { PATH } = house.environment
  await writeFile(
    path,
    `#!/bin/sh\nexec env -i PATH='${PATH}' HOME='${house.directory}' sh -c "$1"\n`,
    {
      mode: 0o755,
    },
  )
  return path
}

async function say(house: BarmanHouse, ...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await house.barman(words)
  assert.equal(exitCode, 0, `${words.join(' ')}: ${stdout.toString()}${stderr}`)
  return stdout.toString()
}

async function idsOf(house: BarmanHouse): Promise<string[]> {
  return (await say(house, 'list-backups', '--minimal', 'main')).trim().split('\n')
}

test('cron of a passive server brings backups and WAL over, and they restore there', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using primary = await barmanHouse(primaryConf(pg))
  const way = await wayTo(primary)
  await using passive = await barmanHouse(
    `[main]\ndescription = passive copy\nprimary_ssh_command = ${way}\n`,
  )
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n')
  await say(primary, 'backup', 'main', '--name', 'weekly')
  await pg.query('INSERT INTO t SELECT generate_series(1, 10)')
  await say(primary, 'backup', 'main')
  const held = await idsOf(primary)
  assert.equal(held.length, 2)

  assert.equal(await say(passive, 'list-servers'), 'main - passive copy (Passive)\n')
  assert.match(
    await say(passive, 'cron'),
    new RegExp(
      `^Starting copy of backup ${held[1]} for server main\nStarted copy of WAL files for server main\n$`,
    ),
  )
  await until('the first copy', async () => (await idsOf(passive)).join() === held[1])
  await until('the copy of WAL to end', async () => {
    return (await say(passive, 'list-processes', 'main')).startsWith('No active')
  })
  await say(passive, 'sync-wals', 'main')
  assert.match(
    await say(passive, 'sync-backup', 'main', held[0] ?? ''),
    /is copied from the primary/,
  )
  assert.deepEqual(await idsOf(passive), held)
  assert.equal(await say(passive, 'cron'), 'Started copy of WAL files for server main\n')
  assert.equal(await say(passive, 'backup', 'main'), "Skipping passive server 'main'\n")
  await say(passive, 'verify-backup', 'main', 'weekly')
  const checked = (await say(passive, 'check', 'main')).replace('main', 'pg')
  compare(checked, 'passive-check2')
  const status = (await say(passive, 'status', 'main')).replace('main', 'pg')
  compare(status, 'passive-status', [/SSH command/])

  const target = join(passive.directory, 'restored')
  await say(passive, 'recover', 'main', 'latest', target)
  execFileSync('chown', ['-R', unprivilegedUser.name, target])
  await using copy = await openPostgres({ major: 18, directory: target })
  assert.deepEqual(await copy.query('SELECT count(*)::int AS n FROM t'), [{ n: 1010 }])
})

test('local retention decides what is copied; a backup that lacks a pack is not listed', async () => {
  await using pg = await startPostgres({ major: 15 })
  await using primary = await barmanHouse(primaryConf(pg))
  const way = await wayTo(primary)
  await using passive = await barmanHouse(
    `[main]\nprimary_ssh_command = ${way}\nretention_policy = REDUNDANCY 1\n`,
  )
  await say(primary, 'backup', 'main')
  await say(primary, 'backup', 'main')
  const [newest = '', oldest = ''] = await idsOf(primary)
  const unwanted = await passive.barman(['sync-backup', 'main', oldest])
  assert.equal(unwanted.exitCode, 1)
  const packs = join(primary.home, 'backstay', 'main', 'packs')
  const [pack = ''] = await readdir(packs)
  const away = join(primary.directory, pack)
  await rename(join(packs, pack), away)
  const gone = await passive.barman(['sync-backup', 'main', newest])
  assert.equal(gone.exitCode, 1)
  assert.match(gone.stderr, /^ERROR: Cannot ask the primary through/)
  assert.deepEqual(await idsOf(passive), [''])
  await rename(away, join(packs, pack))
  await say(passive, 'sync-backup', 'main', newest)
  assert.deepEqual(await idsOf(passive), [newest])
})

test('a primary that is no Backstay is refused with the reason', async () => {
  await using passive = await barmanHouse('[main]\nprimary_ssh_command = echo {} #\n')
  const { exitCode, stderr } = await passive.barman(['sync-wals', 'main'])
  assert.equal(exitCode, 1)
  assert.match(stderr, /its answer names no repository of Backstay/)
})
