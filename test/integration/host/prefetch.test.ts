/**
 * Many paths looked at with one command: the answers are those of the host itself, and only the first ones are remembered.
 */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { HostCommandOptions, HostCommandResult } from '../../../src/host/host.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { prefetch } from '../../../src/host/look-ahead.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const NAMES = ['file', 'empty', 'folder', 'link', 'nowhere', 'a name with "quotes" and\na line']

function fill(path: string): readonly string[] {
  writeFileSync(join(path, 'file'), Buffer.from([0, 10, 255, 13, 10]), { mode: 0o640 })
  writeFileSync(join(path, 'empty'), '')
  mkdirSync(join(path, 'folder'))
  writeFileSync(join(path, 'folder', 'z'), '')
  writeFileSync(join(path, 'folder', 'a b\nc'), '')
  symlinkSync('folder/../file', join(path, 'link'))
  symlinkSync('missing', join(path, 'nowhere'))
  writeFileSync(join(path, NAMES.at(-1) ?? ''), 'quoted')
  writeFileSync(join(path, 'large'), Buffer.alloc(100_000, 7))
  const more = ['large', 'missing', 'missing/below', 'file/below']
  return [...NAMES, ...more].map((name) => join(path, name))
}

/** What a question brings: the answer, with times in whole seconds, or the code of the error. */
async function answerOf(question: Promise<unknown>): Promise<unknown> {
  const answer = await question.catch((error: unknown) => (error as { code: string }).code)
  const info = answer as { readonly modifiedAtMs?: number; readonly identity?: string } | undefined
  if (info?.modifiedAtMs === undefined) return answer
  // The birth comes in whole seconds there, in fractions of milliseconds here.
  const { identity = '' } = info
  return {
    ...info,
    modifiedAtMs: Math.floor(info.modifiedAtMs / 1000),
    identity: identity.replace(/:[^:]*$/, ''),
  }
}

test('paths looked at together are as they are one by one', async () => {
  await using base = temporaryDirectory()
  const paths = fill(base.path)
  const host = new LocalHost('here')
  const seen = await prefetch(host, paths)
  for (const path of paths) {
    for (const question of ['readFile', 'inspect', 'list'] as const) {
      const known = await answerOf(seen[question](path))
      assert.deepEqual(known, await answerOf(host[question](path)), `${question} ${path}`)
    }
  }
})

test('the first question about a path costs no command, the second is asked anew', async () => {
  await using base = temporaryDirectory()
  const paths = fill(base.path)
  const host = new CountingHost('here')
  const seen = await prefetch(host, paths)
  assert.equal(host.commands, 1)
  const [file = ''] = paths
  rmSync(file)
  assert.equal((await seen.readFile(file))?.length, 5)
  assert.equal(await seen.readFile(file), undefined)
  assert.equal((await seen.inspect(file))?.mode, 0o640)
  assert.equal(await seen.inspect(file), undefined)
  assert.equal((await seen.run(['echo', 'on'])).stdout, 'on\n')
  assert.equal(seen.name, 'here')
})

class CountingHost extends LocalHost {
  commands = 0

  override async run(
    command: readonly string[],
    options?: HostCommandOptions,
  ): Promise<HostCommandResult> {
    this.commands += 1
    return await super.run(command, options)
  }
}
