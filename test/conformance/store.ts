/**
 * What every store must do. Run by each driver's test file.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import type { Store } from '../../src/store/store.ts'

/** An empty store, and how to clean up after it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store
}

/** Writes to the directory, reads at the other end. */
export function bothEnds(disk: Store, reader: Store): Store {
  return {
    location: reader.location,
    address: reader.address,
    put: async (name, content) => disk.put(name, content),
    replace: async (name, content) => disk.replace(name, content),
    create: async (name) => disk.create(name),
    delete: async (name) => disk.delete(name),
    sweep: async (folder, nowMs) => disk.sweep(folder, nowMs),
    get: async (name, limitBytes) => reader.get(name, limitBytes),
    open: async (name) => reader.open(name),
    size: async (name) => reader.size(name),
    list: (folder) => reader.list(folder),
    listObjects: async (folder) => reader.listObjects(folder),
    listFolders: async (folder) => reader.listFolders(folder),
  }
}

const text = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : Buffer.from(content).toString()

async function names(listed: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const name of listed) all.push(name)
  return all
}

/** Declares the suite for the driver called `driver`. */
export function describeStore(driver: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${driver} as a store`, () => {
    it('gives back what was put', async () => {
      await using test = await open()
      assert.equal(await test.store.put('a/b.bin', Buffer.from('hello')), 'stored')
      assert.equal(text(await test.store.get('a/b.bin', 2 ** 20)), 'hello')
      assert.equal(await test.store.size('a/b.bin'), 5)
    })

    it('holds empty objects', async () => {
      await using test = await open()
      await test.store.put('empty', Buffer.alloc(0))
      assert.equal(text(await test.store.get('empty', 2 ** 20)), '')
      assert.equal(await test.store.size('empty'), 0)
    })

    it('reads no more of an object than such an object can have', async () => {
      await using test = await open()
      await test.store.put('a', Buffer.alloc(100))
      assert.equal((await test.store.get('a', 100))?.length, 100)
      await assert.rejects(
        test.store.get('a', 99),
        (error) =>
          isBackstayError(error, 'REPOSITORY_DAMAGED') && /has 100 bytes/.test(error.message),
      )
    })

    it('never replaces an object', async () => {
      await using test = await open()
      await test.store.put('a', Buffer.from('first'))
      assert.equal(await test.store.put('a', Buffer.from('second')), 'exists')
      assert.equal(text(await test.store.get('a', 2 ** 20)), 'first')
    })

    it('replaces an object when it is asked to', async () => {
      await using test = await open()
      await test.store.replace('p/a', Buffer.from('first'))
      await test.store.replace('p/a', Buffer.from('second'))
      assert.equal(text(await test.store.get('p/a', 2 ** 20)), 'second')
      assert.deepEqual(await names(test.store.list('')), ['p/a'])
    })

    it('lets exactly one of many concurrent writers win', async () => {
      await using test = await open()
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, n) => test.store.put('deep/er/a', Buffer.from(`${n}`))),
      )
      assert.equal(outcomes.filter((outcome) => outcome === 'stored').length, 1)
      assert.equal(
        text(await test.store.get('deep/er/a', 2 ** 20)),
        `${outcomes.indexOf('stored')}`,
      )
    })

    it('has nothing under a name that was never put', async () => {
      await using test = await open()
      assert.equal(await test.store.get('no/such', 2 ** 20), undefined)
      assert.equal(await test.store.open('no/such'), undefined)
      assert.equal(await test.store.size('no/such'), undefined)
      assert.equal(await test.store.delete('no/such'), false)
      assert.deepEqual(await names(test.store.list('no')), [])
      assert.deepEqual(await test.store.listFolders('no'), [])
      assert.deepEqual(await test.store.listObjects('no'), [])
    })

    it('shows a streamed object only once it is committed', async () => {
      await using test = await open()
      const writer = await test.store.create('p/big')
      await writer.write([Buffer.from('ab'), Buffer.from('c')])
      await writer.sync()
      await writer.write([Buffer.from('def')])
      assert.equal(writer.position, 6)
      assert.equal(await test.store.get('p/big', 2 ** 20), undefined)
      assert.deepEqual(await names(test.store.list('')), [])
      assert.equal(await writer.commit(), 'stored')
      await writer[Symbol.asyncDispose]()
      assert.equal(text(await test.store.get('p/big', 2 ** 20)), 'abcdef')
    })

    it('drops a streamed object that is not committed', async () => {
      await using test = await open()
      {
        await using writer = await test.store.create('p/big')
        await writer.write([Buffer.from('abc')])
      }
      assert.equal(await test.store.get('p/big', 2 ** 20), undefined)
      assert.equal(await test.store.put('p/big', Buffer.from('x')), 'stored')
    })

    it('drops a streamed object when its name was taken meanwhile', async () => {
      await using test = await open()
      await using writer = await test.store.create('a')
      await writer.write([Buffer.from('late')])
      await test.store.put('a', Buffer.from('early'))
      assert.equal(await writer.commit(), 'exists')
      assert.equal(text(await test.store.get('a', 2 ** 20)), 'early')
    })

    it('reads any range of an object, also concurrently', async () => {
      await using test = await open()
      const content = Buffer.from(Array.from({ length: 100_000 }, (_, n) => n & 255))
      await test.store.put('a', content)
      await using reader = await test.store.open('a')
      assert.ok(reader)
      assert.equal(reader.sizeBytes, content.length)
      const ranges = [0, 1, 4096, 65_535, 99_990].map((position) => ({
        position,
        target: Buffer.alloc(10),
      }))
      await Promise.all(ranges.map(({ position, target }) => reader.read(position, target)))
      for (const { position, target } of ranges) {
        assert.deepEqual(target, content.subarray(position, position + 10))
      }
    })

    it('calls an object damaged that ends before the range asked for', async () => {
      await using test = await open()
      await test.store.put('a', Buffer.from('abc'))
      await using reader = await test.store.open('a')
      await assert.rejects(
        async () => reader?.read(1, Buffer.alloc(3)),
        (error) => isBackstayError(error, 'REPOSITORY_DAMAGED'),
      )
    })

    it('lists objects sorted, at any depth', async () => {
      await using test = await open()
      for (const name of ['w/2/b', 'w/10/a', 'w/2/a', 'x/c', 'w/z']) {
        await test.store.put(name, Buffer.from(name))
      }
      assert.deepEqual(await names(test.store.list('w')), ['w/10/a', 'w/2/a', 'w/2/b', 'w/z'])
      assert.deepEqual(await names(test.store.list('')), ['w/10/a', 'w/2/a', 'w/2/b', 'w/z', 'x/c'])
      assert.deepEqual(await test.store.listFolders('w'), ['10', '2'])
      assert.deepEqual(await test.store.listObjects('w'), ['z'])
      assert.deepEqual(await test.store.listFolders(''), ['w', 'x'])
    })

    it('deletes an object once', async () => {
      await using test = await open()
      await test.store.put('f/a', Buffer.from('a'))
      assert.equal(await test.store.delete('f/a'), true)
      assert.equal(await test.store.delete('f/a'), false)
      assert.equal(await test.store.get('f/a', 2 ** 20), undefined)
      assert.deepEqual(await test.store.listFolders(''), [])
      assert.equal(await test.store.put('f/a', Buffer.from('b')), 'stored')
    })

    it('takes writes and deletes in the same folder at the same time', async () => {
      await using test = await open()
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          await test.store.put(`f/g/${n}`, Buffer.from(`${n}`))
          if (n % 2 === 0) await test.store.delete(`f/g/${n}`)
        }),
      )
      assert.equal((await test.store.listObjects('f/g')).length, 10)
    })

    it('sweeps nothing of a writer that lives', async () => {
      await using test = await open()
      await using writer = await test.store.create('p/big')
      await writer.write([Buffer.from('abc')])
      assert.deepEqual(await test.store.sweep('', Date.now() + 10 * 86_400_000), {
        files: 0,
        bytes: 0,
      })
      assert.equal(await writer.commit(), 'stored')
    })
  })
}
