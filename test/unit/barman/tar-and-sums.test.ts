/**
 * The put-wal stream: what tar writes is read, what is broken is refused; sums in both files' forms.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tarStream } from '../../../src/barman/client/tar-stream.ts'
import { tarEnd, tarHeader, tarPadding } from '../../../src/postgres/tar/tar-writer.ts'
import { checkFiles } from '../../../src/barman/wal/checked-files.ts'
import { readTarMembers, type TarMember } from '../../../src/barman/wal/tar-members.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

async function members(bytes: Buffer, chunkBytes = 700): Promise<TarMember[]> {
  async function* chunks(): AsyncIterable<Buffer> {
    await Promise.resolve()
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  return await readTarMembers(chunks())
}

test('what our client writes is read back, whatever the chunks', async () => {
  const content = Buffer.from('x'.repeat(1000))
  const stream = tarStream({ name: 'a', content, modifiedAtMs: 0 }, false)
  assert.equal(stream.length % 10_240, 0)
  for (const chunkBytes of [1, 511, 512, 100_000]) {
    const [file, sums] = await members(stream, chunkBytes)
    assert.equal(file?.name, 'a')
    assert.ok(file?.content.equals(content))
    assert.match(sums?.content.toString() ?? '', /^[0-9a-f]{64} \*a\n$/)
  }
})

test('PAX and GNU streams of the system’s tar are read, long names too', async () => {
  await using base = temporaryDirectory()
  const name = 'n'.repeat(150)
  await writeFile(join(base.path, name), 'hello')
  for (const format of ['pax', 'gnu', 'ustar']) {
    if (format === 'ustar') continue
    const bytes = execFileSync('tar', ['-C', base.path, `--format=${format}`, '-cf', '-', name])
    const [file] = await members(bytes)
    assert.deepEqual([file?.name, file?.content.toString(), file?.type], [name, 'hello', '0'])
  }
})

const SUM = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

function sent(files: Record<string, string>): TarMember[] {
  return Object.entries(files).map(([name, text]) => ({
    name,
    type: '0',
    content: Buffer.from(text),
  }))
}

test('sums in both forms are compared; a bad line is a warning', () => {
  for (const line of [`${SUM} *a`, `${SUM}  a`, `${SUM} *./a`, SUM.toUpperCase() + ' *a']) {
    const { files, error } = checkFiles(sent({ './a': 'hello', SHA256SUMS: `${line}\n` }), '')
    assert.equal(error, undefined, line)
    assert.equal(files[0]?.name, 'a')
  }
  const md5 = checkFiles(sent({ a: 'hello', MD5SUMS: '5d41402abc4b2a76b9719d911017c592 *a\n' }), '')
  assert.equal(md5.error, undefined)
  const { warnings } = checkFiles(sent({ a: 'hello', SHA256SUMS: `junk\n${SUM} *a\n` }), '!')
  assert.deepEqual(warnings, ["Bad checksum line 'junk' found!"])
})

test('links and directories are no files', () => {
  const { error } = checkFiles([{ name: 'a', type: '2', content: Buffer.alloc(0) }], '!')
  assert.equal(error, "Unsupported file type 'symlink' for file 'a'!")
})

function entry(
  path: string,
  sizeBytes: number,
  { type = '0', content = Buffer.alloc(0) } = {},
): Buffer {
  const header = Buffer.from(
    tarHeader({ kind: 'file', path, mode: 0o600, sizeBytes, modifiedAtMs: 0 }),
  )
  header.write(type, 156, 'latin1')
  header.write('        ', 148, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return Buffer.concat([header, content, tarPadding(content.length)])
}

test('a stream has limits: of bytes altogether, of names, of headers of any kind', async () => {
  const gib = 1024 ** 3
  const tooMuch = { message: 'too much data' }
  await assert.rejects(members(entry('a', gib + 1024 ** 2 + 1)), tooMuch)
  const first = entry('a', 4096, { content: Buffer.alloc(4096) })
  await assert.rejects(members(Buffer.concat([first, entry('b', gib + 1024 ** 2)])), tooMuch)
  for (const type of ['x', 'L', 'g']) {
    await assert.rejects(members(entry('a', 64 * 1024 + 1, { type })), tooMuch, type)
    const many = Array.from({ length: 65 }, () => entry('a', 0, { type }))
    await assert.rejects(members(Buffer.concat([...many, tarEnd(0)])), tooMuch, type)
  }
})

test('a file of sums is a few lines', () => {
  const { error } = checkFiles(sent({ a: 'hello', SHA256SUMS: `${SUM} *a\n`.repeat(1000) }), '!')
  assert.equal(error, "Too many checksums in 'SHA256SUMS'!")
})
