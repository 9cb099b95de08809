import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTarHeader } from '../../../src/postgres/tar/tar-header.ts'
import { tarHeader, type TarItem } from '../wire/tar-archive.ts'

const parse = (item: TarItem): ReturnType<typeof parseTarHeader> =>
  parseTarHeader(tarHeader(item), 0)

describe('tar header', () => {
  it('is read with all that PostgreSQL writes in it', () => {
    const modifiedAtMs = Date.UTC(2026, 10, 22, 9, 30)
    assert.deepEqual(parse({ path: 'base/1/1259', mode: 0o640, sizeBytes: 8192, modifiedAtMs }), {
      kind: 'file',
      path: 'base/1/1259',
      sizeBytes: 8192,
      mode: 0o640,
      modifiedAtMs,
      target: undefined,
    })
  })

  it('of a directory loses its slash and has no size', () => {
    const entry = parse({ path: './pg_wal/archive_status/', kind: 'directory', mode: 0o700 })
    assert.deepEqual(
      [entry?.kind, entry?.path, entry?.sizeBytes],
      ['directory', 'pg_wal/archive_status', 0],
    )
  })

  it('of a link has its target', () => {
    const entry = parse({ path: 'pg_tblspc/16384', kind: 'link', target: '/srv/space' })
    assert.deepEqual([entry?.kind, entry?.target], ['link', '/srv/space'])
  })

  it('holds names up to 100 bytes', () => {
    const path = `base/${'x'.repeat(95)}`
    assert.equal(parse({ path })?.path, path)
  })

  for (const gib of [7.999, 8, 9, 1024, 32 * 1024]) {
    it(`holds a size of ${gib} GiB`, () => {
      const sizeBytes = Math.floor(gib * 1024 ** 3)
      assert.equal(parse({ path: 'base/1/2', sizeBytes })?.sizeBytes, sizeBytes)
    })
  }

  it('of zeros is the end of the archive', () => {
    assert.equal(parseTarHeader(Buffer.alloc(512), 0), undefined)
  })

  it('is read where it lies', () => {
    const bytes = Buffer.concat([Buffer.alloc(100, 1), tarHeader({ path: 'PG_VERSION' })])
    assert.equal(parseTarHeader(bytes, 100)?.path, 'PG_VERSION')
  })

  for (const path of ['/etc/passwd', '../escape', 'base/../../escape', './', '']) {
    it(`is refused when its path is "${path}"`, () => {
      assert.throws(() => parse({ path }), /not inside the directory/)
    })
  }

  it('is refused when its checksum is wrong', () => {
    const header = tarHeader({ path: 'PG_VERSION' })
    header[0] = 0x51
    assert.throws(() => parseTarHeader(header, 0), /checksum/)
  })

  it('is refused when its kind is unknown', () => {
    const header = tarHeader({ path: 'x' })
    header.write('1', 156)
    assert.throws(() => parseTarHeader(fixChecksum(header), 0), /type "1"/)
  })

  it('is refused when its size is no number', () => {
    const header = tarHeader({ path: 'x' })
    header.write('what', 124)
    assert.throws(() => parseTarHeader(fixChecksum(header), 0), /number/)
  })
})

function fixChecksum(header: Buffer): Buffer {
  header.write('        ', 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}
