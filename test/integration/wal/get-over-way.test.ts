/**
 * `wal get` over ssh as a restore_command: how it ends when the gate gives the file, has none, or cannot be reached.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { LAUNCHER } from '../cli/programs.ts'

const SEGMENT = '000000010000000000000001'

/** A directory in which `wal get` finds a way and, as ssh, the program `script` is. */
function placeWith(script: string): AsyncDisposable & { readonly path: string } {
  const base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  writeFileSync(join(base.path, 'config'), '')
  mkdirSync(join(base.path, 'bin'))
  writeFileSync(join(base.path, 'bin/ssh'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(base.path, 'bin/ssh'), 0o755)
  return base
}

function get(path: string, ...more: readonly string[]): { code: number | null; said: string } {
  const words = ['wal', 'get', ...more, '--way', path, '--cluster', 'shop', SEGMENT]
  const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, ...words, join(path, 'got')], {
    encoding: 'utf8',
    env: { PATH: `${join(path, 'bin')}:/usr/bin:/bin`, HOME: path },
  })
  return { code: status, said: stderr }
}

describe('wal get over a way', () => {
  test('puts the file that the gate gives in its place, whole', async () => {
    await using base = placeWith(
      '[ "$4" = "wal get 000000010000000000000001" ] && head -c 1048576 /dev/zero',
    )
    assert.deepEqual(get(base.path), { code: 0, said: '' })
    assert.deepEqual(readFileSync(join(base.path, 'got')), Buffer.alloc(1_048_576))
  })

  test('is obeyed by its owner alone', { skip: !isRoot }, async () => {
    await using base = placeWith('touch "$(dirname "$0")/../ran"')
    chownSync(base.path, unprivilegedUser.uid, unprivilegedUser.gid)
    const { code, said } = get(base.path)
    assert.equal(code, 126)
    assert.match(said, /Will not use the way in/)
    assert.ok(!existsSync(join(base.path, 'ran')))
  })

  test('ends with 1 for a file that is not held', async () => {
    await using base = placeWith('exit 1')
    assert.equal(get(base.path).code, 1)
    assert.equal(get(base.path, '--standby').code, 1)
  })

  for (const [what, script] of [
    [
      'a connection that is lost in the middle',
      'printf half; echo "connection lost" >&2; exit 255',
    ],
    ['a repository that fails', 'echo "Error: disk" >&2; exit 126'],
    ['an ssh that is killed', 'kill -9 $$'],
    ['a length that no segment has', 'printf content'],
    ['nothing at all', 'exit 0'],
    ['more than any segment has', 'exec head -c 1200000000 /dev/zero'],
  ] as const) {
    test(`stops recovery for ${what}, lets a standby ask again, and leaves nothing`, async () => {
      await using base = placeWith(script)
      assert.equal(get(base.path).code, 126)
      assert.equal(get(base.path, '--standby').code, 1)
      assert.ok(!existsSync(join(base.path, 'got')))
      assert.deepEqual(
        readdirSync(base.path).filter((name) => name.includes('backstay-')),
        [],
      )
    })
  }
})
