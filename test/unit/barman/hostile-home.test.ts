/**
 * What lies in a Barman home, and what programs and a primary say, is read to a limit, and nothing that is no file is waited for.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readBackupFacts } from '../../../src/barman/import/backup-facts.ts'
import type { BackupData } from '../../../src/barman/import/backup-source.ts'
import { type BarmanBackup, parseBarmanBackup } from '../../../src/barman/import/barman-backup.ts'
import { findBarmanBackups, standardPlace } from '../../../src/barman/import/barman-place.ts'
import { readManifest } from '../../../src/barman/import/tar-backup.ts'
import { ARCHIVE_ENDINGS, unpackedFile } from '../../../src/barman/import/unpacked-file.ts'
import { findBarmanWal } from '../../../src/barman/import/wal-files.ts'
import { askPlace } from '../../../src/barman/passive/primary-repository.ts'
import { askPrimary } from '../../../src/barman/passive/primary-shell.ts'
import { pipeThrough } from '../../../src/barman/wal/pipe-through.ts'
import { tarHeader } from '../../../src/postgres/tar/tar-writer.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const LIMIT = { timeout: 60_000 }
const SOON = { timeout: 20_000 }
const GIB = 1024 ** 3
const ID = '20261122T072445'
const INFO = `begin_time=2026-11-22 07:24:45+00:00
begin_xlog=0/3000028
end_time=2026-11-22 07:24:49+00:00
end_xlog=0/4000000
status=DONE
timeline=1
version=150018
`
const GO_ON = new AbortController().signal
const NO_FILE = /it is no regular file/

function backupIn(directory: string): BarmanBackup {
  const backup = parseBarmanBackup(INFO, { id: ID, directory, keep: undefined })
  if (typeof backup === 'string') assert.fail(backup)
  return backup
}

function pipe(path: string): void {
  execFileSync('mkfifo', [path])
}

test('a pipe or a long file in the place of pg_control keeps its backup out', LIMIT, async () => {
  await using base = temporaryDirectory()
  const data: BackupData = { kind: 'plain', directory: base.path, names: [] }
  const control = join(base.path, 'global/pg_control')
  mkdirSync(join(base.path, 'global'))
  pipe(control)
  const read = async (): Promise<unknown> => readBackupFacts(backupIn(base.path), data, GO_ON)
  await assert.rejects(
    read(),
    /Cannot import backup 2026.* "[^"]*pg_control" cannot be read: it is no/,
  )
  execFileSync('rm', [control])
  writeFileSync(control, '')
  truncateSync(control, GIB)
  await assert.rejects(read(), /longer than 65536 bytes/)
  execFileSync('rm', [control])
  await assert.rejects(read(), /it has no global\/pg_control/)
})

test('a long pg_control in an archive is not gathered', LIMIT, async () => {
  await using base = temporaryDirectory()
  const file = { path: 'global/pg_control', mode: 0o600, modifiedAtMs: 0 }
  const header = tarHeader({ kind: 'file', ...file, sizeBytes: GIB })
  writeFileSync(join(base.path, 'base.tar'), Buffer.concat([header, Buffer.alloc(1024)]))
  const data: BackupData = { kind: 'tar', directory: base.path, names: ['base.tar'] }
  const reading = readBackupFacts(backupIn(base.path), data, GO_ON)
  await assert.rejects(reading, /its global\/pg_control has 1073741824 bytes/)
})

test(
  'a pipe in the place of metadata, a manifest or an archive is refused at once',
  LIMIT,
  async () => {
    await using base = temporaryDirectory()
    const place = standardPlace(base.path)
    for (const folder of ['meta', 'wals']) mkdirSync(join(base.path, folder))
    const info = join(base.path, 'meta', `${ID}-backup.info`)
    pipe(info)
    await assert.rejects(findBarmanBackups(place), NO_FILE)
    execFileSync('rm', [info])
    writeFileSync(info, '')
    truncateSync(info, GIB)
    await assert.rejects(findBarmanBackups(place), /longer than/)
    pipe(join(base.path, 'wals/xlog.db'))
    await assert.rejects(findBarmanWal(place), NO_FILE)
    pipe(join(base.path, 'backup_manifest'))
    await assert.rejects(readManifest(base.path), NO_FILE)
    for (const ending of ARCHIVE_ENDINGS) {
      const archive = join(base.path, `base${ending}`)
      pipe(archive)
      const unpacked = unpackedFile(archive, ending)[Symbol.asyncIterator]()
      await assert.rejects(unpacked.next(), NO_FILE, ending)
    }
  },
)

/** Runs `script` in a process of little memory, with `place` as its first argument; what it prints. */
function inLittleMemory(script: string, place: string): string {
  const words = ['--max-old-space-size=100', '--input-type=module', '-e', script, place]
  return execFileSync(process.execPath, words, { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
}

function moduleOf(path: string): string {
  return JSON.stringify(import.meta.resolve(`../../../src/barman/import/${path}`))
}

test('an xlog.db of empty lines takes no memory for them', LIMIT, async () => {
  await using base = temporaryDirectory()
  mkdirSync(join(base.path, 'wals'))
  const line = '000000010000000000000003\t1\t1.0\tgzip\tNone\n'
  writeFileSync(
    join(base.path, 'wals/xlog.db'),
    Buffer.concat([Buffer.alloc(24 * 1024 ** 2, 10), Buffer.from(line)]),
  )
  const script = `import { standardPlace } from ${moduleOf('barman-place.ts')}
    import { findBarmanWal } from ${moduleOf('wal-files.ts')}
    const { missing } = await findBarmanWal(standardPlace(process.argv[1]))
    console.log(missing.join())`
  assert.equal(inLittleMemory(script, base.path), '000000010000000000000003\n')
})

test('many long backup.info are not all held, and are refused', LIMIT, async () => {
  await using base = temporaryDirectory()
  mkdirSync(join(base.path, 'meta'))
  for (let number = 0; number < 200; number += 1) {
    const id = `20260101T${String(number).padStart(6, '0')}`
    const info = join(base.path, 'meta', `${id}-backup.info`)
    writeFileSync(info, 'status=FAILED\n')
    truncateSync(info, 4 * 1024 ** 2)
  }
  const script = `import { findBarmanBackups, standardPlace } from ${moduleOf('barman-place.ts')}
    await findBarmanBackups(standardPlace(process.argv[1])).catch((error) => console.log(error.message))`
  assert.match(inLittleMemory(script, base.path), /is longer than the 128 MB that are read/)
})

test(
  'an archive that unpacks without end is left when the import is interrupted',
  SOON,
  async () => {
    await using base = temporaryDirectory()
    const file = { path: 'base/1/1', mode: 0o600, modifiedAtMs: 0 }
    const archive = join(base.path, 'base.tar')
    writeFileSync(archive, tarHeader({ kind: 'file', ...file, sizeBytes: 7 * GIB }))
    truncateSync(archive, 7 * GIB)
    const data: BackupData = { kind: 'tar', directory: base.path, names: ['base.tar'] }
    const interrupted = AbortSignal.timeout(300)
    await assert.rejects(readBackupFacts(backupIn(base.path), data, interrupted), {
      name: 'TimeoutError',
    })
  },
)

test('a size of segments that no server has keeps a backup out', () => {
  for (const bytes of ['0', '3', '1099511627776', '99999999999999999999']) {
    const text = `${INFO}xlog_segment_size=${bytes}\n`
    const why = parseBarmanBackup(text, { id: ID, directory: '/b', keep: undefined })
    assert.ok(typeof why === 'string')
    assert.match(why, /^no WAL segment has \d.* bytes$/, bytes)
  }
})

test('a program that prints without end is left, what it started as well', LIMIT, async () => {
  const endless = pipeThrough(['/bin/sh', '-c', 'cat /dev/zero; true'], Buffer.alloc(0), 100_000)
  await assert.rejects(endless, /printed more than 100000 bytes/)
  const loud = ['/bin/sh', '-c', 'head -c 1000000 /dev/zero | tr "\\\\0" x >&2; exit 1']
  await assert.rejects(pipeThrough(loud, Buffer.alloc(0)), (error: Error) => {
    assert.ok(error.message.length < 1100)
    return true
  })
})

test(
  'what a primary complains of is cut, and what it measures files by is judged',
  LIMIT,
  async () => {
    await using base = temporaryDirectory()
    const shellOf = (text: string): { command: string; signal: AbortSignal } => {
      const command = join(base.path, 'way')
      writeFileSync(command, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
      return { command, signal: new AbortController().signal }
    }
    const loud = 'head -c 1000000 /dev/zero | tr "\\\\0" x >&2; exit 1'
    await assert.rejects(askPrimary(shellOf(loud), 'x'), (error: Error) => {
      assert.match(error.message, /it ended with 1: x{1000}$/)
      return true
    })
    const whole = {
      repository: '/r',
      cluster: 'main',
      systemIdentifier: '7',
      major: 18,
      segmentBytes: 16 * 1024 ** 2,
    }
    const place = async (changes: object): Promise<unknown> => {
      const answer = JSON.stringify({ backstay: { ...whole, ...changes } })
      return await askPlace(shellOf(`echo '${answer}'`), { name: 'main', configFile: undefined })
    }
    assert.deepEqual(await place({}), whole)
    for (const changes of [
      { segmentBytes: 1024 ** 4 },
      { segmentBytes: 0 },
      { segmentBytes: 3 * 1024 ** 2 },
      { systemIdentifier: '../x' },
      { major: 1.5 },
    ]) {
      await assert.rejects(place(changes), /names no repository/, JSON.stringify(changes))
    }
  },
)

test('a primary that is interrupted while it says nothing is not waited for', SOON, async () => {
  const controller = new AbortController()
  const asking = askPrimary({ command: 'sleep 30; true', signal: controller.signal }, 'x')
  controller.abort(new Error('enough'))
  await assert.rejects(asking, /enough/)
})
