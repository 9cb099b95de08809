/**
 * `status --watch` for programs: a line of JSON for each look.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimPort } from '../../harness/ports.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { LAUNCHER, start } from './programs.ts'

test('with --json every look is one line, while it watches', async () => {
  await using base = temporaryDirectory()
  const [file, port] = [join(base.path, 'backstay.yaml'), await claimPort()]
  await writeFile(
    file,
    `cluster: none\npostgres: { version: 15 }\nservers:\n  db1: { role: primary, host: 127.0.0.1, port: ${port}, directory: db1 }\n`,
  )
  const words = ['-c', file, 'status', '--watch', '--interval', '200ms', '--json']
  const watching = start([process.execPath, LAUNCHER, ...words])
  await watching.said('}\n{"')
  watching.child.kill('SIGINT')
  const { stdout } = await watching.ended
  const lines = stdout.split('\n').filter((line) => line !== '')
  assert.ok(lines.length >= 2)
  for (const line of lines.slice(0, 2)) {
    assert.equal((JSON.parse(line) as { cluster: string }).cluster, 'none')
  }
})
