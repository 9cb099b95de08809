import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { fullBackupLabel } from '../../../../src/backup/take/backup-label-intake.ts'
import { ManifestCheck } from '../../../../src/backup/take/manifest-check.ts'

const FILES = [
  { path: 'backup_label', sizeBytes: 226, crc: crc32c('a') },
  { path: 'base/5/1259', sizeBytes: 8192, crc: crc32c('b') },
  { path: 'weird "name"\\x', sizeBytes: 0, crc: 0 },
]

function manifest(files = FILES): Buffer {
  const lines = files.map(({ path, sizeBytes, crc }) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(crc)
    return `{ "Path": ${JSON.stringify(path)}, "Size": ${sizeBytes}, "Last-Modified": "2026-11-22 08:45:45 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "${bytes.toString('hex')}" }`
  })
  return Buffer.from(
    `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${lines.join(',\n')}\n],\n"WAL-Ranges": [\n],\n"Manifest-Checksum": "x"}\n`,
  )
}

function check(files: typeof FILES, pieces: readonly Buffer[]): ManifestCheck {
  const made = new ManifestCheck()
  for (const { path, sizeBytes, crc } of files) made.file(path, sizeBytes, crc)
  for (const piece of pieces) made.manifest(piece)
  return made
}

describe('ManifestCheck', () => {
  it('accepts the files the manifest names, in any order and cut anywhere', () => {
    const bytes = manifest()
    for (let at = 0; at < bytes.length; at += 13) {
      check(FILES.toReversed(), [bytes.subarray(0, at), bytes.subarray(at)]).finish()
    }
  })

  it('reads paths that are not UTF-8', () => {
    const [first] = FILES
    assert.ok(first)
    const hex = Buffer.from(first.path).toString('hex')
    const bytes = manifest([first])
      .toString()
      .replace(`"Path": "${first.path}"`, `"Encoded-Path": "${hex}"`)
    check([first], [Buffer.from(bytes)]).finish()
  })

  it('refuses a missing file, one too many, another size, another content', () => {
    const refused = (files: typeof FILES) =>
      assert.throws(
        () => check(files, [manifest()]).finish(),
        /differ from the server's backup_manifest/,
      )
    refused(FILES.slice(1))
    refused([...FILES, { path: 'more', sizeBytes: 0, crc: 0 }])
    refused(FILES.map((file) => ({ ...file, sizeBytes: file.sizeBytes + 1 })))
    refused(FILES.map((file, n) => (n === 1 ? { ...file, crc: file.crc ^ 1 } : file)))
    refused(FILES.map((file, n) => (n === 1 ? { ...file, path: 'base/5/1260' } : file)))
  })
})

describe('fullBackupLabel', () => {
  it('drops only the lines that make it incremental', () => {
    const lines = [
      'START WAL LOCATION: 0/2000028 (file 000000010000000000000002)',
      'LABEL: INCREMENTAL FROM x',
    ]
    const incremental = ['INCREMENTAL FROM LSN: 0/1000028', 'INCREMENTAL FROM TLI: 1']
    const label = (all: readonly string[]) => all.map((line) => `${line}\n`).join('')
    assert.equal(fullBackupLabel(label([...lines, ...incremental])), label(lines))
    assert.equal(fullBackupLabel(label(lines)), label(lines))
  })
})
