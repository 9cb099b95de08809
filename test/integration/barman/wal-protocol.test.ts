/**
 * put-wal and get-wal as real clients speak them: streams, exit codes, texts; and what is left after bad input.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { tarStream } from '../../../src/barman/client/tar-stream.ts'
import { startSshd, whyNoSshd } from '../../harness/sshd.ts'
import { SWITCH, WalBuilder } from '../../unit/postgres/wal-builder.ts'
import { type BarmanHouse, barmanHouse } from './barman-house.ts'

const SERVERS = `[pg]
conninfo = host=127.0.0.1 port=1
streaming_conninfo = host=127.0.0.1 port=1
backup_method = postgres
archiver = on
[off]
conninfo = host=127.0.0.1 port=1
active = false
[broken]
description = has no conninfo
[served]
conninfo = host=127.0.0.1 port=1
streaming_conninfo = host=127.0.0.1 port=1
backup_method = postgres
archiver = on
backstay_repository = /var/lib/backstay-nobody-made
backstay_service = on
`
const NAME = '000000010000000000000003'
const SEGMENT_BYTES = 1024 * 1024

/** A segment that follows the one before it and ends with a switch, from number 3 on. */
function segment(number = 3, dataBytes = 100): Buffer {
  const builder = new WalBuilder(BigInt(3 * SEGMENT_BYTES))
  for (let at = 3; at <= number; at++) {
    builder.page()
    builder.record({ dataBytes })
    builder.record(SWITCH)
    builder.fill('segment')
  }
  return builder.bytes.subarray(-SEGMENT_BYTES)
}

function stream(content: Buffer, name = NAME, isMd5 = false): Buffer {
  return tarStream({ name, content, modifiedAtMs: 0 }, isMd5)
}

async function objects(house: BarmanHouse): Promise<string[]> {
  const names = await readdir(house.home, { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

async function holds(house: BarmanHouse, name: string): Promise<boolean> {
  return (await house.barman(['get-wal', 'pg', name])).exitCode === 0
}

test('a sent segment comes back byte for byte, plain and compressed, and only bytes come', async () => {
  await using house = await barmanHouse(SERVERS)
  const content = segment()
  assert.deepEqual(await house.barman(['put-wal', 'pg'], stream(content)), {
    exitCode: 0,
    stdout: Buffer.alloc(0),
    stderr: '',
  })
  const got = await house.barman(['get-wal', 'pg', NAME])
  assert.equal(got.exitCode, 0)
  assert.equal(got.stderr, '')
  assert.ok(got.stdout.equals(content))
  const zipped = await house.barman(['get-wal', '-x', 'pg', NAME])
  assert.ok(gunzipSync(zipped.stdout).equals(content))
  const kept = await house.barman(['get-wal', '--keep-compression', '--partial', 'pg', NAME])
  assert.ok(zstdDecompressSync(kept.stdout).equals(content))
  const out = join(house.directory, 'out')
  await mkdir(out)
  const into = await house.barman(['get-wal', '-o', out, 'pg', NAME])
  assert.deepEqual([into.exitCode, into.stdout.length], [0, 0])
  assert.ok((await readFile(join(out, NAME))).equals(content))
  const nowhere = await house.barman(['get-wal', '-o', join(out, 'x'), 'pg', NAME])
  assert.equal(nowhere.exitCode, 3)
})

test('the same segment again is fine, with other content it is refused and nothing changes', async () => {
  await using house = await barmanHouse(SERVERS)
  const content = segment()
  await house.barman(['put-wal', 'pg'], stream(content))
  assert.equal((await house.barman(['put-wal', 'pg'], stream(content, NAME, true))).exitCode, 0)
  const other = await house.barman(['put-wal', 'pg'], stream(segment(3, 200)))
  assert.equal(other.exitCode, 1)
  assert.match(other.stderr, /ERROR: .*already with other content/)
  assert.ok((await house.barman(['get-wal', 'pg', NAME])).stdout.equals(content))
})

test('peek lists what follows without a hole', async () => {
  await using house = await barmanHouse(SERVERS)
  for (const number of [3, 4, 6]) {
    const name = `00000001000000000000000${number}`
    await house.barman(['put-wal', 'pg'], stream(segment(number), name))
  }
  const peeked = await house.barman(['get-wal', '--peek', '5', 'pg', NAME])
  assert.equal(peeked.stdout.toString(), `${NAME}\n000000010000000000000004\n`)
  const none = await house.barman(['get-wal', '--peek', '5', 'pg', '000000010000000000000009'])
  assert.deepEqual([none.exitCode, none.stdout.toString()], [0, ''])
})

test('client-side compressions are unpacked before the segment is looked at', async () => {
  await using house = await barmanHouse(SERVERS)
  const content = segment()
  assert.equal((await house.barman(['put-wal', 'pg'], stream(gzipSync(content)))).exitCode, 0)
  assert.ok((await house.barman(['get-wal', 'pg', NAME])).stdout.equals(content))
  const next = '000000010000000000000004'
  const short = stream(gzipSync(segment(4).subarray(0, 5000)), next)
  assert.equal((await house.barman(['put-wal', 'pg'], short)).exitCode, 1)
  assert.equal(await holds(house, next), false)
})

test('bad streams end with 1, say why in Barman’s words, and leave nothing behind', async () => {
  await using house = await barmanHouse(SERVERS)
  const content = segment()
  const good = stream(content)
  const wrongSum = Buffer.from(good)
  wrongSum.writeUInt8(wrongSum.readUInt8(3000) ^ 1, 3000)
  const fileOnly = Buffer.concat([good.subarray(0, 512 + content.length), Buffer.alloc(1024)])
  const sumsOnly = Buffer.concat([good.subarray(512 + content.length)])
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['empty', Buffer.alloc(0), /^EXCEPTION: empty file\n/],
    ['cut in the content', good.subarray(0, 100_000), /^EXCEPTION: unexpected end of data\n/],
    ['cut in a header', good.subarray(0, 100), /^EXCEPTION: unexpected end of data\n/],
    ['no tar', Buffer.from('x'.repeat(2048)), /^EXCEPTION: invalid header\n/],
    ['a wrong sum', wrongSum, /^ERROR: Bad file checksum '\w{64}' \(should be \w{64}\) for file/],
    [
      'no sum',
      fileOnly,
      /^ERROR: Missing checksum for file '0{7}1\d+' in put-wal for server 'pg'\n/,
    ],
    ['no file', sumsOnly, /^ERROR: Checksum without corresponding file '0{7}1/],
    ['a path', stream(content, `../${NAME}`), /^ERROR: Unsupported filename '\.\.\//],
    [
      'no WAL',
      stream(content, 'notes.txt'),
      /^ERROR: Unsupported filename 'notes\.txt'.*names no WAL file/,
    ],
    ['another segment', stream(segment(4)), /^ERROR: Cannot store WAL file/],
  ]
  for (const [what, input, says] of cases) {
    const { exitCode, stdout, stderr } = await house.barman(['put-wal', 'pg'], input)
    assert.equal(exitCode, 1, what)
    assert.equal(stdout.length, 0, what)
    assert.match(stderr, says, what)
  }
  assert.equal(await holds(house, NAME), false)
  assert.deepEqual(
    (await objects(house)).filter((name) => name.includes('0000')),
    [],
  )
})

test('an unknown, inactive or wrongly configured server is refused, before anything is read', async () => {
  await using house = await barmanHouse(SERVERS)
  const said = async (words: readonly string[]): Promise<[number, string]> => {
    const { exitCode, stderr } = await house.barman(words, stream(segment()))
    return [exitCode, stderr]
  }
  assert.deepEqual(await said(['put-wal', 'nosuch']), [1, "ERROR: Unknown server 'nosuch'\n"])
  assert.deepEqual(await said(['put-wal', 'off']), [1, 'ERROR: Inactive server: off\n'])
  assert.deepEqual(await said(['put-wal', 'broken']), [
    1,
    "ERROR: PostgreSQL connection: Missing 'conninfo' parameter for server 'broken'\n",
  ])
  assert.deepEqual(await said(['put-wal', 'all']), [
    1,
    "ERROR: You cannot use 'all' in a single server context\n",
  ])
})

test('the recorded texts and exit codes of get-wal and the two tests', async () => {
  await using house = await barmanHouse(SERVERS)
  const bad = await house.barman(['get-wal', 'pg', 'notawal'])
  assert.deepEqual(
    [bad.exitCode, bad.stderr],
    [3, "ERROR: 'notawal' is not a valid wal file name\n"],
  )
  const missing = await house.barman(['get-wal', 'pg', '0000000100000000000000FF'])
  assert.deepEqual(
    [missing.exitCode, missing.stderr],
    [1, "ERROR: WAL file '0000000100000000000000FF' not found in server 'pg'\n"],
  )
  const ready = await house.barman(['get-wal', 'pg', 'x', '--test'])
  assert.equal(ready.stdout.toString(), 'Ready to retrieve WAL files from the server pg\n')
  const accept = await house.barman(['put-wal', 'pg', '--test'])
  assert.equal(accept.stdout.toString(), 'Ready to accept WAL files for the server pg\n')
  assert.equal((await house.barman(['get-wal', 'pg'])).exitCode, 2)
})

test('a copied file in the incoming directory is stored by archive-wal, rubbish is set aside', async () => {
  await using house = await barmanHouse(SERVERS)
  const incoming = join(house.home, 'pg', 'incoming')
  await mkdir(incoming, { recursive: true })
  await writeFile(join(incoming, NAME), segment())
  await writeFile(join(incoming, '000000010000000000000004'), segment(4).subarray(0, 9000))
  await writeFile(join(incoming, 'rubbish'), 'x')
  const { exitCode, stdout } = await house.barman(['archive-wal', 'pg'])
  assert.equal(exitCode, 0)
  assert.equal(stdout.toString(), `Processing xlog segments from file archival for pg\n\t${NAME}\n`)
  assert.equal(await holds(house, NAME), true)
  // What is too short may still be written.
  assert.deepEqual(await readdir(incoming), ['000000010000000000000004'])
  const errors = await readdir(join(house.home, 'pg', 'errors'))
  assert.match(errors.join(), /^rubbish\.\d{8}T\d{6}Z\.unknown$/)
})

for (const clients of ['debian', 'own'] as const) {
  test(`the ${clients} clients work against us over a real sshd`, async (context: TestContext) => {
    const why = whyNoSshd() ?? whyNoClients(clients)
    if (why !== undefined) return context.skip(why)
    await using house = await barmanHouse(SERVERS)
    await using sshd = await startSshd([`SetEnv PATH=${house.environment['PATH']}`])
    const wrapper = join(house.directory, 'ssh')
    await mkdir(wrapper)
    await writeFile(
      join(wrapper, 'ssh'),
      `#!/bin/sh\nexec /usr/bin/ssh -F '${sshd.configFile}' "$@"\n`,
      { mode: 0o755 },
    )
    const programs = clients === 'debian' ? '/usr/bin' : house.binaries
    const path = { PATH: `${wrapper}:/usr/bin:/bin` }
    const config = ['-U', 'root', '--config', house.configFile]
    const pgWal = join(house.directory, NAME)
    const content = segment()
    await writeFile(pgWal, content)
    const archive = `${programs}/barman-wal-archive`
    const restore = `${programs}/barman-wal-restore`
    const run = async (...words: string[]): ReturnType<BarmanHouse['run']> =>
      house.run(words, undefined, path)
    const tested = await run(archive, ...config, '--test', '127.0.0.1', 'pg', 'x')
    assert.deepEqual(
      [tested.exitCode, tested.stdout.toString().trim()],
      [0, 'Ready to accept WAL files for the server pg'],
      tested.stderr,
    )
    const sent = await run(archive, ...config, '127.0.0.1', 'pg', pgWal)
    assert.deepEqual([sent.exitCode, sent.stderr], [0, ''])
    assert.equal((await run(archive, ...config, '127.0.0.1', 'pg', pgWal)).exitCode, 0)
    const target = join(house.directory, 'RECOVERYXLOG')
    const fetched = await run(restore, ...config, '-P', '127.0.0.1', 'pg', NAME, target)
    assert.deepEqual([fetched.exitCode, fetched.stderr], [0, ''])
    assert.ok((await readFile(target)).equals(content))
    const missing = '0000000100000000000000FF'
    const failed = await run(restore, ...config, '127.0.0.1', 'pg', missing, target)
    assert.equal(failed.exitCode, 1)
  })
}

test('our clients work against the real Barman', async (context: TestContext) => {
  const why = whyNoSshd() ?? (existsSync('/usr/bin/barman') ? undefined : 'no Barman here')
  if (why !== undefined) return context.skip(why)
  await using house = await barmanHouse(SERVERS)
  await using sshd = await startSshd(['SetEnv PATH=/usr/bin:/bin'])
  const wrapper = join(house.directory, 'ssh')
  await mkdir(wrapper)
  await writeFile(
    join(wrapper, 'ssh'),
    `#!/bin/sh\nexec /usr/bin/ssh -F '${sshd.configFile}' "$@"\n`,
    { mode: 0o755 },
  )
  const path = { PATH: `${wrapper}:${house.environment['PATH']}` }
  const pgWal = join(house.directory, NAME)
  await writeFile(pgWal, segment())
  const common = ['-U', 'root', '-c', house.configFile, '127.0.0.1', 'pg']
  const archive = join(house.binaries, 'barman-wal-archive')
  // Debian's 3.4.0 knows no SHA256SUMS yet.
  const sent = await house.run([archive, '--md5', ...common, pgWal], undefined, path)
  assert.deepEqual([sent.exitCode, sent.stderr], [0, ''])
  const target = join(house.directory, 'RECOVERYXLOG')
  const restore = join(house.binaries, 'barman-wal-restore')
  const fetched = await house.run([restore, ...common, NAME, target], undefined, path)
  assert.deepEqual([fetched.exitCode, fetched.stderr], [0, ''])
  assert.ok((await readFile(target)).equals(segment()))
})

function whyNoClients(clients: 'debian' | 'own'): string | undefined {
  if (clients === 'own' || existsSync('/usr/bin/barman-wal-archive')) return undefined
  return `barman-cli is not installed (${execFileSync('uname').toString().trim()})`
}

test('no repository is made where a service keeps one: its disk may be missing', async () => {
  await using house = await barmanHouse(SERVERS)
  const sent = await house.barman(['put-wal', 'served'], stream(segment()))
  assert.notEqual(sent.exitCode, 0)
  assert.match(sent.stderr, /nothing of "served" in repository .*nobody-made/)
  assert.ok(!existsSync('/var/lib/backstay-nobody-made'))
})
