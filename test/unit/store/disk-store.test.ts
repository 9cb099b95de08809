/**
 * The disk store on a real directory: the conformance suite, and what only a disk can do wrong.
 */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/store/file-system.ts'
import { thisProcess } from '../../../src/util/process-identity.ts'
import { temporaryName } from '../../../src/store/temporary-name.ts'
import { describeStore } from '../../conformance/store.ts'
import { PowerCutFileSystem } from '../../fault/power-cut-file-system.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

describeStore('DiskStore', async () => {
  const directory = temporaryDirectory()
  return {
    store: new DiskStore(join(directory.path, 'repository')),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

describeStore('DiskStore on a file system in memory', async () => ({
  store: new DiskStore('/repository', new PowerCutFileSystem()),
  [Symbol.asyncDispose]: async () => {},
}))

function failing(errno: string, method: 'createFile' | 'link' | 'syncFolder'): FileSystem {
  return {
    ...nodeFileSystem,
    [method]: () => Promise.reject(Object.assign(new Error(errno), { code: errno })),
  }
}

describe('DiskStore', () => {
  it('makes folders 0700 and files 0600', async () => {
    await using directory = temporaryDirectory()
    const store = new DiskStore(join(directory.path, 'r'))
    await store.put('a/b', Buffer.from('x'))
    assert.equal(statSync(join(directory.path, 'r')).mode & 0o777, 0o700)
    assert.equal(statSync(join(directory.path, 'r/a')).mode & 0o777, 0o700)
    assert.equal(statSync(join(directory.path, 'r/a/b')).mode & 0o777, 0o600)
  })

  it('leaves no temporary file behind, whatever the outcome', async () => {
    await using directory = temporaryDirectory()
    const store = new DiskStore(directory.path)
    await store.put('f/a', Buffer.from('x'))
    await store.put('f/a', Buffer.from('y'))
    await (await store.create('f/b'))[Symbol.asyncDispose]()
    assert.deepEqual(readdirSync(join(directory.path, 'f')), ['a'])
  })

  it('sweeps the unfinished files of dead writers and nothing else', async () => {
    await using directory = temporaryDirectory()
    const store = new DiskStore(directory.path)
    const self = thisProcess()
    const names = {
      otherBoot: temporaryName('a', { ...self, bootId: 'earlier' }, 1),
      reusedPid: temporaryName('a', { ...self, startTicks: self.startTicks + 1 }, 1),
      alive: temporaryName('a', self, 1),
      otherHost: temporaryName('a', { ...self, host: 'elsewhere' }, 1),
      otherNamespace: temporaryName('a', { ...self, pidNamespace: 'pid:[1]' }, 1),
      foreign: '.nfs0001',
    }
    await mkdir(join(directory.path, 'f'))
    for (const name of Object.values(names)) await writeFile(join(directory.path, 'f', name), 'abc')
    assert.deepEqual(await store.sweep('', Date.now()), { files: 2, bytes: 6 })
    const stay = [names.alive, names.otherHost, names.otherNamespace, names.foreign].sort()
    assert.deepEqual(readdirSync(join(directory.path, 'f')).sort(), stay)
    assert.deepEqual(await store.sweep('', Date.now() + 25 * 3_600_000), { files: 2, bytes: 6 })
    assert.deepEqual(
      readdirSync(join(directory.path, 'f')).sort(),
      [names.alive, names.foreign].sort(),
    )
  })

  for (const [errno, code] of [
    ['ENOSPC', 'DISK_SPACE'],
    ['EDQUOT', 'DISK_SPACE'],
    ['EROFS', 'STORE'],
    ['EACCES', 'STORE'],
    ['EIO', 'STORE'],
  ] as const) {
    it(`reports ${errno} as ${code} and writes nothing`, async () => {
      await using directory = temporaryDirectory()
      for (const method of ['createFile', 'link', 'syncFolder'] as const) {
        const store = new DiskStore(directory.path, failing(errno, method))
        await assert.rejects(store.put(`${method}-a`, Buffer.from('x')), (error) =>
          isBackstayError(error, code),
        )
      }
      const left = readdirSync(directory.path).filter((name) => !name.startsWith('syncFolder'))
      assert.deepEqual(left, [])
    })
  }

  it('refuses names that leave the directory', async () => {
    const store = new DiskStore('/nowhere')
    for (const name of ['../a', 'a/../b', '/a', 'a//b', '.a', 'a/.b']) {
      await assert.rejects(store.put(name, Buffer.alloc(0)), /as the name of an object/)
    }
  })
})
