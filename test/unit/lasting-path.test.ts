/**
 * What a file keeps of this program goes through the link that names the version in use.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lastingText } from '../../src/fleet/lasting-names.ts'
import { ensureCurrentLink, lastingPath } from '../../src/util/lasting-path.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'

test('a file of a version is named through the link beside it, and only when it will be found there', async () => {
  await using work = temporaryDirectory()
  const [one, two] = ['0.1.0-aaaaaaaaaa', '0.1.0-bbbbbbbbbb'].map((name) => join(work.path, name))
  assert.ok(one !== undefined && two !== undefined)
  for (const root of [one, two]) {
    mkdirSync(join(root, 'bin'), { recursive: true })
    writeFileSync(join(root, 'bin/backstay.js'), '')
  }
  const program = join(one, 'bin/backstay.js')
  assert.equal(lastingPath(program, one), program, 'a checkout is no version')
  for (const root of [one, two]) writeFileSync(join(root, '.complete'), '')
  assert.equal(lastingPath(program, one), program, 'there is no link yet')
  ensureCurrentLink(one)
  assert.equal(readlinkSync(join(work.path, 'current')), '0.1.0-aaaaaaaaaa')
  assert.equal(lastingPath(program, one), join(work.path, 'current/bin/backstay.js'))
  ensureCurrentLink(two)
  assert.equal(readlinkSync(join(work.path, 'current')), '0.1.0-aaaaaaaaaa', 'the link is not ours')
  assert.equal(lastingPath(join(one, 'bin/gone.js'), one), join(one, 'bin/gone.js'))
  assert.equal(lastingPath('/usr/bin/node', one), '/usr/bin/node')
})

test('names that an earlier Backstay wrote are led through the link, whatever stands around them', () => {
  const line = (version: string): string =>
    `exec '/opt/backstay/${version}/node' '/opt/backstay/${version}/bin/barman.js' "$@"\n`
  assert.equal(lastingText(line('0.1.0-836c417d37'), '/opt/backstay'), line('current'))
  assert.equal(lastingText(line('current'), '/opt/backstay'), line('current'))
  const other = 'exec /opt/other/0.1.0-836c417d37/node\n'
  assert.equal(lastingText(other, '/opt/backstay'), other)
})
