/** A store whose disk is full at any of its operations says so, leaves nothing behind, and stores the object when there is room. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import type { FileSystem, OpenFile } from '../../src/store/file-system.ts'
import { PowerCutFileSystem } from './power-cut-file-system.ts'

const WRITING = ['createFile', 'link', 'makeFolder', 'syncFolder', 'append', 'sync', 'close']

/** Fails the `failAt`-th operation that may need room, and every later one until it is told that there is room. */
class FullDisk {
  readonly files: FileSystem
  isFull = true
  #left: number
  failed: string | undefined

  constructor(inner: FileSystem, failAt: number) {
    this.#left = failAt
    this.files = this.#wrap(inner)
  }

  #wrap<T extends object>(inner: T): T {
    return new Proxy(inner, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function' || typeof key !== 'string') return value
        return async (...given: unknown[]) => {
          this.#take(key)
          const result: unknown = await Reflect.apply(value, target, given)
          return isFile(result) ? this.#wrap(result) : result
        }
      },
    })
  }

  #take(name: string): void {
    if (!this.isFull || !WRITING.includes(name)) return
    this.#left -= 1
    if (this.#left > 0) return
    this.failed ??= name
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  }
}

function isFile(value: unknown): value is OpenFile {
  return typeof value === 'object' && value !== null && 'append' in value
}

it('a full disk at each operation of a put', async () => {
  const failed = new Set<string>()
  for (let failAt = 1; failAt < 20; failAt += 1) {
    const inner = new PowerCutFileSystem()
    await inner.makeFolder('/r')
    const disk = new FullDisk(inner, failAt)
    const store = new DiskStore('/r', disk.files)
    const put = store.put('shop/wal/object', Buffer.from('content'))
    const outcome = await put.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (disk.failed === undefined) {
      assert.equal(outcome, undefined)
      break
    }
    failed.add(disk.failed)
    assert.ok(isBackstayError(outcome, 'DISK_SPACE'), `${disk.failed}: ${String(outcome)}`)
    disk.isFull = false
    const again = await store.put('shop/wal/object', Buffer.from('content'))
    assert.ok(again === 'stored' || again === 'exists')
    assert.equal((await store.get('shop/wal/object', 2 ** 20))?.toString(), 'content')
    const items = await inner.readFolder('/r/shop/wal')
    assert.deepEqual(items, [{ name: 'object', isFolder: false }], `left after ${disk.failed}`)
  }
  assert.deepEqual([...failed].toSorted(), WRITING.toSorted())
})
