import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { TarReader } from '../../../src/postgres/tar/tar-reader.ts'
import { cut, places, pushAll } from '../wire/splits.ts'
import { tarArchive, type TarItem } from '../wire/tar-archive.ts'

const items = fc.array(
  fc.record({
    path: fc.stringMatching(/^[a-z]{1,8}(\/[a-z0-9]{1,8}){0,3}$/),
    content: fc.uint8Array({ maxLength: 1500 }),
    kind: fc.constantFrom('file', 'file', 'directory'),
  }),
  { maxLength: 12 },
)

async function read(pieces: readonly Buffer[], isSlow: boolean): Promise<string[]> {
  const seen: string[] = []
  let content: Buffer[] = []
  const after = (look: () => void): void | Promise<void> =>
    isSlow ? Promise.resolve().then(look) : look()
  const reader = new TarReader({
    entry: (entry) => after(() => void seen.push(`${entry.kind} ${entry.path} ${entry.sizeBytes}`)),
    data: (chunk) => after(() => void content.push(Buffer.from(chunk))),
    endFile: () =>
      after(() => {
        seen.push(Buffer.concat(content).toString('hex'))
        content = []
      }),
  })
  await pushAll(pieces, (piece) => reader.push(piece))
  reader.finish()
  return seen
}

function expectedOf(list: readonly TarItem[]): string[] {
  return list.flatMap(({ path, content = Buffer.alloc(0), kind = 'file' }) =>
    kind === 'file'
      ? [`file ${path} ${content.length}`, Buffer.from(content).toString('hex')]
      : [`${kind} ${path} 0`],
  )
}

const withoutContent = (item: TarItem): TarItem =>
  item.kind === 'file' ? item : { ...item, content: Buffer.alloc(0) }

describe('tar reader', () => {
  it('gives the same entries for any split, held back or not, with the final blocks or without', async () => {
    await fc.assert(
      fc.asyncProperty(
        items,
        places,
        fc.boolean(),
        fc.boolean(),
        async (list, where, isSlow, withEnd) => {
          const entries = list.map(withoutContent)
          const archive = tarArchive(entries, { withEnd })
          assert.deepEqual(await read(cut(archive, where), isSlow), expectedOf(entries))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('delivers a file in place', () => {
    const archive = tarArchive([{ path: 'PG_VERSION', content: Buffer.from('18\n') }])
    let isView = false
    const reader = new TarReader({
      entry: () => undefined,
      data: (chunk) => void (isView = chunk.buffer === archive.buffer),
      endFile: () => undefined,
    })
    void reader.push(archive)
    assert.ok(isView)
  })

  for (const [what, length] of [
    ['a header', 300],
    ['a file', 512 + 5],
    ['the padding', 512 + 100],
  ] as const) {
    it(`notices an archive that ends inside ${what}`, async () => {
      const archive = tarArchive([{ path: 'a', content: Buffer.from('0123456789') }])
      await assert.rejects(read([archive.subarray(0, length)], false), /ends inside an entry/)
    })
  }
})
