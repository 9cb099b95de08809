import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { ArchiveFrames } from '../../../src/wire/archive-frames.ts'
import { cut, places, pushAll } from './splits.ts'

type Frame = Buffer

const archive = (name: string): Frame => Buffer.from(`n${name}\0/some/where\0`)
const data = (content: Uint8Array): Frame => Buffer.concat([Buffer.from('d'), content])
const MANIFEST = Buffer.from('m')
const PROGRESS = Buffer.concat([Buffer.from('p'), Buffer.alloc(8)])

/** Feeds each frame as one CopyData cut at `where`; returns what each consumer got. */
async function follow(frames: readonly Frame[], where: readonly number[]): Promise<string[]> {
  const seen: string[] = []
  const open = (name: string): { push(bytes: Buffer): void; finish(): void } => {
    const pieces: Buffer[] = []
    return {
      push: (bytes) => void pieces.push(Buffer.from(bytes)),
      finish: () => void seen.push(`${name} ${Buffer.concat(pieces).toString('hex')}`),
    }
  }
  const reader = new ArchiveFrames({ archive: open, manifest: () => open('manifest') })
  for (const frame of frames) {
    reader.begin(frame.length)
    await pushAll(cut(frame, where), (piece) => reader.push(piece))
    reader.end()
  }
  reader.finish()
  return seen
}

describe('archive frames', () => {
  it('give each archive its bytes, for any split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 6 }),
        places,
        async (contents, where) => {
          const frames = [
            archive('16384.tar'),
            ...contents.flatMap((content) => [data(content), PROGRESS]),
            archive('base.tar'),
            data(Buffer.from('base')),
            MANIFEST,
            data(Buffer.from('{}')),
          ]
          assert.deepEqual(await follow(frames, where), [
            `16384.tar ${Buffer.concat(contents).toString('hex')}`,
            `base.tar ${Buffer.from('base').toString('hex')}`,
            `manifest ${Buffer.from('{}').toString('hex')}`,
          ])
        },
      ),
    )
  })

  for (const [what, frames] of [
    ['data before an archive', [data(Buffer.from('x'))]],
    ['an unknown letter', [archive('base.tar'), Buffer.from('zz')]],
    ['a name without end', [Buffer.from('nbase.tar')]],
    ['a name without limit', [Buffer.from(`n${'x'.repeat(9000)}\0\0`)]],
  ] as const) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(follow(frames, []), { code: 'POSTGRES_PROTOCOL' })
    })
  }
})
