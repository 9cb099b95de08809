/**
 * Configuration: what contradicts itself stops every command before anything is written, models and updates take effect as Barman
 * says it, and the operator's scripts run around WAL.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tarStream } from '../../../src/barman/client/tar-stream.ts'
import { SWITCH, WalBuilder } from '../../unit/postgres/wal-builder.ts'
import { barmanHouse } from './barman-house.ts'

const CONNECTION = 'conninfo = host=127.0.0.1 port=1\nbackup_method = postgres\n'
const NAME = '000000010000000000000003'
const SEGMENT_BYTES = 1024 * 1024
const LAUNCHER = join(import.meta.dirname, '../../../bin/backstay.js')

function segment(): Buffer {
  const builder = new WalBuilder(BigInt(3 * SEGMENT_BYTES))
  builder.page()
  builder.record({ dataBytes: 100 })
  builder.record(SWITCH)
  builder.fill('segment')
  return builder.bytes
}

function stream(): Buffer {
  return tarStream({ name: NAME, content: segment(), modifiedAtMs: 0 }, false)
}

test('a model is applied, is there afterwards, and goes again, in Barman’s words', async () => {
  await using house = await barmanHouse(
    `[pg]\ndescription = plain\n${CONNECTION}[pg:standby]\nmodel = true\ncluster = pg\ndescription = from model\n[other]\nmodel = true\ncluster = x\n`,
  )
  const said = async (...words: string[]): Promise<[number, string, string]> => {
    const { exitCode, stdout, stderr } = await house.barman(words)
    return [exitCode, stdout.toString(), stderr]
  }
  const error = (text: string): [number, string, string] => [1, '', `ERROR: ${text}\n`]
  const none = "Either a model name or '--reset' flag need to be given"
  assert.deepEqual(await said('config-switch', 'pg'), error(none))
  assert.deepEqual(await said('config-switch', 'pg', 'nomodel'), error("Unknown model 'nomodel'"))
  assert.deepEqual(
    await said('config-switch', 'pg', 'other'),
    error(
      "Model 'other' has 'cluster=x', which is not compatible with 'cluster=pg' from server 'pg'",
    ),
  )
  assert.deepEqual(await said('config-switch', 'pg', 'pg:standby'), [
    0,
    "Applying model 'pg:standby' to server 'pg'\nChanging value of option 'description' for server 'pg' from 'plain' to 'from model' through the model 'pg:standby'\n",
    '',
  ])
  const file = join(house.home, 'pg', '.active-model.auto')
  assert.equal(await readFile(file, 'utf8'), 'pg:standby')
  assert.match((await said('status', 'pg'))[1], /Active configuration model: pg:standby\n/)
  assert.equal((await said('list-servers'))[1], 'pg - from model\n')
  assert.match((await said('config-switch', 'pg', 'pg:standby'))[1], /is already active for server/)
  assert.equal(
    (await said('config-switch', 'pg', '--reset'))[1],
    'Resetting the active model for the server pg\n',
  )
  assert.equal((await said('list-servers'))[1], 'pg - plain\n')
  await writeFile(file, 'gone')
  assert.match((await said('check', 'pg'))[1], /configuration: FAILED\n\t\tActive model 'gone'/)
})

test('config-update sets options in a file of its own, all or none', async () => {
  await using house = await barmanHouse(`[pg]\ndescription = plain\n${CONNECTION}`)
  const before = await readFile(house.configFile, 'utf8')
  const update = async (changes: object): Promise<[number, string]> => {
    const ran = await house.barman(['config-update', JSON.stringify([changes])])
    return [ran.exitCode, ran.stdout.toString() + ran.stderr]
  }
  const pg = { scope: 'server', server_name: 'pg' }
  assert.deepEqual(await update({ ...pg, nosuch: '1' }), [
    1,
    "ERROR: Invalid option 'nosuch' for server 'pg'\nERROR: Aborting config‐update: invalid section {'scope': 'server', 'server_name': 'pg', 'nosuch': '1'}\n",
  ])
  assert.equal((await update({ ...pg, description: 'x', minimum_redundancy: 'many' }))[0], 1)
  assert.equal((await update({ scope: 'server', server_name: 'nosuch' }))[0], 1)
  assert.equal(existsSync(join(house.home, '.barman.auto.conf')), false)
  assert.deepEqual(await update({ ...pg, description: '50% of x' }), [
    0,
    "Changing value of option 'description' for section 'pg' from 'plain' to '50% of x' through config-update.\n",
  ])
  await update({ ...pg, last_backup_maximum_age: '1 DAYS' })
  assert.equal((await house.barman(['list-servers'])).stdout.toString(), 'pg - 50% of x\n')
  const shown = (await house.barman(['show-servers', 'pg'])).stdout.toString()
  assert.match(shown, /last_backup_maximum_age: 1 DAYS\n/)
  assert.equal(await readFile(house.configFile, 'utf8'), before)
})

test('the operator’s scripts run around each WAL file that comes, and can keep it out', async () => {
  await using house = await barmanHouse(`[pg]
${CONNECTION}archiver = on
pre_archive_script = echo "$BARMAN_PHASE $BARMAN_HOOK $BARMAN_SEGMENT $BARMAN_SIZE" >> LOG
pre_archive_retry_script = test ! -e STOP || exit 63
post_archive_script = test -f "$BARMAN_FILE" && echo "$BARMAN_PHASE $BARMAN_COMPRESSION [$BARMAN_ERROR]" >> LOG
`)
  const log = join(house.directory, 'log')
  const stop = join(house.directory, 'stop')
  const text = await readFile(house.configFile, 'utf8')
  await writeFile(house.configFile, text.replaceAll('LOG', log).replace('STOP', stop))
  await writeFile(stop, '')
  const refused = await house.barman(['put-wal', 'pg'], stream())
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /pre_archive_retry_script asked to stop/)
  assert.equal((await house.barman(['get-wal', 'pg', NAME])).exitCode, 1)
  await house.run(['rm', stop, log])
  assert.equal((await house.barman(['put-wal', 'pg'], stream())).exitCode, 0)
  assert.equal(
    await readFile(log, 'utf8'),
    `pre archive_script ${NAME} ${SEGMENT_BYTES}\npost zstd []\n`,
  )
})

test('a contradictory, unreadable or foreign configuration stops every command, and nothing is written', async () => {
  await using house = await barmanHouse(
    `[a]\n${CONNECTION}[b]\n${CONNECTION}backup_directory = %(barman_home)s/a\n`,
  )
  const put = async (): Promise<[number, string]> => {
    const { exitCode, stderr } = await house.barman(['put-wal', 'a'], stream())
    return [exitCode, stderr]
  }
  const shared = await put()
  assert.equal(shared[0], 1)
  assert.match(shared[1], /ERROR: Conflicting path: backup_directory=.* for server 'b' conflicts/)
  await writeFile(house.configFile, '[barman]\nbarman_home = /x\n[a]\nwords\n')
  assert.match((await put())[1], /ERROR: Cannot read ".*" line 4: it is no "key = value"/)
  await writeFile(house.configFile, '[barman]\nbarman_home = /x\nbarman_user = nosuchuser\n')
  const wrongUser = await put()
  assert.equal(wrongUser[0], 1)
  assert.match(wrongUser[1], /^ERROR: (please run barman as|the configured user) 'nosuchuser'/)
  await house.run(['rm', house.configFile])
  assert.deepEqual(await put(), [
    1,
    `ERROR: Configuration file '${house.configFile}' does not exist\n`,
  ])
  assert.deepEqual(await readdir(house.home), [])
})

test('`backstay barman` is barman, its options and exit codes included', async () => {
  await using house = await barmanHouse(`[pg]\ndescription = plain\n${CONNECTION}`)
  const run = async (...words: string[]): ReturnType<typeof house.run> =>
    house.run([process.execPath, LAUNCHER, 'barman', '-c', house.configFile, ...words])
  assert.equal((await run('list-servers', '--minimal')).stdout.toString(), 'pg\n')
  assert.equal((await run('get-wal', 'pg', 'notawal')).exitCode, 3)
})

test('a passive server takes no WAL from servers', async () => {
  await using house = await barmanHouse('[pg]\nprimary_ssh_command = ssh barman@primary\n')
  const { exitCode, stderr } = await house.barman(['put-wal', 'pg'], stream())
  assert.deepEqual([exitCode, stderr], [1, "ERROR: Cannot put WAL into passive server 'pg'\n"])
})

test('a client that dies half-way leaves nothing, and the program ends', async () => {
  await using house = await barmanHouse(`[pg]\n${CONNECTION}archiver = on\n`)
  const child = spawn(join(house.binaries, 'barman'), ['put-wal', 'pg'], {
    env: house.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  child.stdin.on('error', () => {})
  child.stdin.write(stream().subarray(0, 300_000), () => child.stdin.destroy())
  child.stdout.resume()
  child.stderr.resume()
  assert.equal(await ended, 1)
  const names = await readdir(house.home, { recursive: true })
  assert.deepEqual(
    names.filter((name) => name.includes(NAME)),
    [],
  )
})
