/**
 * The commands of the cluster file, run as an operator runs them.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { backstay, LAUNCHER, ROOT, start } from './programs.ts'

const INIT =
  'init --cluster shop --primary 10.0.0.1 --standby 10.0.0.2 --backup-host 10.0.0.3'.split(' ')

test('init writes a file that config check takes', async () => {
  await using directory = temporaryDirectory()
  const options = { cwd: directory.path }
  const init = await backstay([...INIT, '--json'], options)
  assert.equal(init.code, 0, init.stderr)
  assert.deepEqual(JSON.parse(init.stdout), {
    file: join(directory.path, 'backstay.yaml'),
    cluster: 'shop',
    servers: ['db1', 'db2'],
  })
  const check = await backstay(['config', 'check'], options)
  assert.equal(check.code, 0, check.stderr)
  assert.match(check.stdout, /"backstay\.yaml" is right: cluster "shop", PostgreSQL 18\./)
  assert.match(check.stdout, /\ndb2 {5}standby {2}10\.0\.0\.2 {2}ssh {6}5432 {2}\/var\/lib/)
  const json = JSON.parse((await backstay(['config', 'check', '--json'], options)).stdout)
  assert.equal(json.backup.host.address, '10.0.0.3')
})

test('init does not overwrite a file', async () => {
  await using directory = temporaryDirectory()
  const file = join(directory.path, 'backstay.yaml')
  await writeFile(file, 'mine')
  const { code, stderr } = await backstay(INIT, { cwd: directory.path })
  assert.equal(code, 1)
  assert.match(stderr, /^Error: Cannot write ".*backstay\.yaml": it is there already\n/)
  assert.equal(await readFile(file, 'utf8'), 'mine')
})

test('init without a terminal needs the primary, and refuses what makes no sense', async () => {
  await using directory = temporaryDirectory()
  const options = { cwd: directory.path }
  const bare = await backstay(['init'], options)
  assert.equal(bare.code, 2)
  assert.match(bare.stderr, /^Error: Cannot write a cluster file without --primary\n/)
  const wrong = await backstay(['init', '--primary', 'x', '--cluster', 'My Shop'], options)
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^Error: Cannot read --cluster: a name must start with a small letter/)
})

const noTerminal = existsSync('/usr/bin/script') ? false : 'no script(1) to make a terminal with'

test('init asks on a terminal, again where an answer is wrong', { skip: noTerminal }, async () => {
  await using directory = temporaryDirectory()
  const command = `${process.execPath} ${LAUNCHER} init --directory /srv/pg`
  const input = ['Shop', 'shop', '17', '10.0.0.1', '10.0.0.2, 10.0.0.3', '', ''].join('\n')
  const options = { cwd: directory.path, input }
  const { code, stdout } = await start(['script', '-qec', command, '/dev/null'], options).ended
  assert.equal(code, 0, stdout)
  assert.match(stdout, /a name must start with a small letter/)
  assert.match(stdout, /Wrote "backstay\.yaml": cluster "shop" with db1, db2, db3/)
  const text = await readFile(join(directory.path, 'backstay.yaml'), 'utf8')
  assert.match(text, /version: 17\n/)
  assert.match(text, /directory: \/srv\/pg\n/)
  assert.doesNotMatch(text, /backup:/)
})

test('config check lists every problem on stderr and ends with 2', async () => {
  await using directory = temporaryDirectory()
  await writeFile(join(directory.path, 'backstay.yaml'), 'cluster: Shop\nservers: {}\n')
  const { code, stdout, stderr } = await backstay(['config', 'check'], { cwd: directory.path })
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(
    stderr,
    /^Error: Cannot use "backstay\.yaml": 3 problems\n {2}backstay\.yaml:1:1 postgres is missing\n/,
  )
  const json = await backstay(['config', 'check', '--json'], { cwd: directory.path })
  assert.equal(JSON.parse(json.stderr).error.details.problems.length, 3)
})

test('config explain names the line of each value', async () => {
  await using directory = temporaryDirectory()
  const options = { cwd: directory.path }
  await backstay(INIT, options)
  const { stdout } = await backstay(['config', 'explain'], options)
  assert.match(stdout, /\nservers\.db2\.host +10\.0\.0\.2 +backstay\.yaml:\d+\n/)
  assert.match(stdout, /\nservers\.db2\.port +5432 +default\n/)
})

test('config schema prints the schema that the documentation holds', async () => {
  const { stdout } = await backstay(['config', 'schema'])
  const file = join(ROOT, 'docs/reference/backstay.schema.json')
  assert.equal(stdout, await readFile(file, 'utf8'))
})

test('a missing file is reported with the places looked at', async () => {
  await using directory = temporaryDirectory()
  const env = { PATH: process.env['PATH'], HOME: directory.path }
  const { code, stderr } = await backstay(['config', 'check'], { cwd: directory.path, env })
  assert.equal(code, 2)
  assert.match(
    stderr,
    /looked for ".*\/backstay\.yaml", ".*\/\.config\/backstay\/backstay\.yaml", "\/etc\//,
  )
})
