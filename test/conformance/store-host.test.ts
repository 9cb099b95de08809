/**
 * A store read with the commands of its machine passes the same suite: what is put into the directory is read over the host.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { HostStore } from '../../src/cluster/host-store.ts'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { bothEnds, describeStore } from './store.ts'

function over(directory: string): HostStore {
  return new HostStore(new LocalHost('localhost'), directory)
}

describeStore('a directory over a host', async () => {
  const base = temporaryDirectory()
  await Promise.resolve()
  return {
    store: bothEnds(new DiskStore(base.path), over(base.path)),
    [Symbol.asyncDispose]: async () => base[Symbol.asyncDispose](),
  }
})

test('what is unfinished is not listed, and what cannot be listed is no empty folder', async () => {
  await using base = temporaryDirectory()
  const store = over(base.path)
  await mkdir(join(base.path, 'wal'))
  await writeFile(join(base.path, 'wal', '.tmp-1'), '')
  await writeFile(join(base.path, 'wal', 'a.zst'), '')
  assert.deepEqual(await store.listObjects('wal'), ['a.zst'])
  assert.deepEqual(await store.listObjects('none'), [])
  const host = new LocalHost('localhost')
  host.run = async () => Promise.resolve({ exitCode: 1, stdout: '', stderr: 'no permission' })
  const shut = new HostStore(host, base.path)
  await assert.rejects(shut.listObjects('wal'), (error) => isBackstayError(error, 'HOST_COMMAND'))
  assert.deepEqual(await shut.listObjects('none'), [])
})

test('nothing is written over a host', async () => {
  await using base = temporaryDirectory()
  await assert.rejects(over(base.path).put(), (error) => isBackstayError(error, 'BUG'))
})
