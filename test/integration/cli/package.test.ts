/**
 * The packed and globally installed command starts under this machine's own Node.js.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import { ROOT } from './programs.ts'

test('npm pack, then npm install --global of the tarball, works and starts', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'scripts/check-package.ts')],
    { timeout: 300_000 },
  )
  assert.match(stdout, /✓ backstay --version answers under Node\.js v\d+/)
  assert.match(stdout, /✓ backstay config check reads it\n$/)
})
