/**
 * Tar streams as the real tar reads them.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  type TreeEntry,
  tarEnd,
  tarHeader,
  tarPadding,
} from '../../../src/postgres/tar/tar-writer.ts'

function archive(files: readonly (readonly [TreeEntry, Buffer])[]): Buffer {
  const parts = files.flatMap(([entry, content]) => [
    tarHeader(entry),
    content,
    tarPadding(content.length),
  ])
  const body = Buffer.concat(parts)
  return Buffer.concat([body, tarEnd(body.length)])
}

function extract(input: Buffer, look: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'backstay-tar-'))
  try {
    execFileSync('tar', ['-x', '-p', '--no-same-owner', '-f', '-', '-C', directory], { input })
    look(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const part = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .map((text) => text.replaceAll(/[/\0]/g, '_'))
  .filter(
    (text) => text !== '.' && text !== '..' && text.isWellFormed() && Buffer.byteLength(text) < 240,
  )

test('names, modes, times and contents survive, however long and odd', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(part, fc.uint8Array({ maxLength: 3000 })), {
        minLength: 1,
        maxLength: 6,
        selector: ([name]) => name,
      }),
      fc.array(part, { maxLength: 3 }),
      (files, folders) => {
        const depth = folders.map((name) => `d${name}`.slice(0, 80))
        const entries = files.map(([name, bytes]) => {
          const path = [...depth, `f${name}`].join('/')
          const attributes = {
            mode: 0o640,
            sizeBytes: bytes.length,
            modifiedAtMs: 1_600_000_000_000,
          }
          return [{ kind: 'file', path, ...attributes }, Buffer.from(bytes)] as const
        })
        extract(archive(entries), (directory) => {
          for (const [entry, content] of entries) {
            const found = lstatSync(join(directory, entry.path))
            assert.ok(readFileSync(join(directory, entry.path)).equals(content))
            assert.deepEqual([found.mode & 0o7777, found.mtimeMs], [0o640, 1_600_000_000_000])
          }
        })
      },
    ),
    { numRuns: 25 },
  )
})

test('links keep long targets, directories their modes', () => {
  const target = `/${'t'.repeat(150)}/x`
  const basic = { sizeBytes: 0, modifiedAtMs: 0 }
  const none = Buffer.alloc(0)
  const entries = [
    [{ kind: 'directory', path: 'dir', mode: 0o750, ...basic }, none],
    [{ kind: 'link', path: 'dir/link', mode: 0o777, target, ...basic }, none],
  ] as const
  extract(archive(entries), (directory) => {
    assert.equal(lstatSync(join(directory, 'dir')).mode & 0o7777, 0o750)
    assert.equal(readlinkSync(join(directory, 'dir/link')), target)
  })
})

test('a file too large for an octal field is announced in a pax record', () => {
  const sizeBytes = 9 * 1024 ** 3
  const header = tarHeader({ kind: 'file', path: 'big', mode: 0o600, sizeBytes, modifiedAtMs: 0 })
  assert.ok(header.includes(`size=${sizeBytes}\n`))
  const listing = spawnSync('tar', ['-t', '-v', '-f', '-'], { input: header }).stdout.toString()
  assert.match(listing, new RegExp(`\\b${sizeBytes}\\b`))
})

test('a stream ends on a whole record with at least two empty blocks', () => {
  for (let written = 0; written <= 30 * 512; written += 512) {
    const end = tarEnd(written)
    assert.equal((written + end.length) % 10_240, 0)
    assert.ok(end.length >= 1024 && end.every((byte) => byte === 0))
  }
})
