/**
 * What every Host driver promises, as tests. A driver's own test file calls `hostConformance` with a factory.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { basename } from 'node:path'
import { before, describe, test } from 'node:test'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../src/errors/codes.ts'
import type { Host } from '../../src/host/host.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { bytesOfPath, pathOfBytes } from '../../src/util/byte-path.ts'
import { until } from '../harness/until.ts'

/** A host under test. Whoever gave it closes it. */
export interface HostUnderTest {
  readonly host: Host
  /** An absolute path on the host, empty, for this suite alone; `host.user` may write there. */
  readonly directory: string
  /** An OS user the host can act as, if it can. */
  readonly otherUser: string | undefined
}

const EVIL_WORDS = [
  'plain',
  'two words',
  "it's",
  '"quoted"',
  'back\\slash',
  '$(touch backstay-was-here)',
  '`id`',
  '$HOME',
  'new\nline',
  'tab\there',
  '*',
  '~',
  'a;b',
  'a&b|c>d<e',
  '#no comment',
  '!history',
  'A=b',
  '-n',
  '--',
  '--help',
  '',
  'ünïcode ☃',
  '{a,b}',
  "'; echo broken; '",
]
const EVIL_NAMES = EVIL_WORDS.filter((word) => word !== '')

/** Runs the suite for one driver. */
export function hostConformance(title: string, make: () => Promise<HostUnderTest>): void {
  describe(title, () => {
    let host: Host
    let directory: string
    let otherUser: string | undefined
    before(async () => {
      const made = await make()
      host = made.host
      directory = made.directory
      otherUser = made.otherUser
    })
    const at = (...parts: string[]): string => [directory, ...parts].join('/')

    describe('commands', () => {
      test('every byte of every argument arrives, and nothing is expanded', async () => {
        const result = await host.run(['printf', '%s\\0', ...EVIL_WORDS])
        assert.deepEqual(result.stdout.split('\0').slice(0, -1), EVIL_WORDS)
        assert.equal(result.exitCode, 0)
      })

      test('the exit code comes back, whatever it is', async () => {
        assert.equal((await host.run(['sh', '-c', 'exit 3'])).exitCode, 3)
        assert.equal((await host.run(['sh', '-c', 'exit 255'])).exitCode, 255)
      })

      test('a command ended by a signal counts as 128 + its number', async () => {
        assert.equal((await host.run(['sh', '-c', 'kill -KILL $$'])).exitCode, 137)
      })

      test('standard output and standard error are kept apart', async () => {
        const result = await host.run(['sh', '-c', 'echo out; echo err >&2'])
        assert.deepEqual([result.stdout, result.stderr], ['out\n', 'err\n'])
      })

      test('the environment is clean but for what is given', async () => {
        const result = await host.run(['env', '-0'], {
          environment: { EVIL: "a b'c\n$(id)", PGDATA: '/x y' },
        })
        const entries = result.stdout.split('\0').slice(0, -1)
        const names = entries.map((entry) => entry.slice(0, entry.indexOf('='))).sort()
        const wanted = ['EVIL', 'HOME', 'LANG', 'LOGNAME', 'PATH', 'PGDATA', 'USER']
        assert.deepEqual(names, wanted)
        assert.ok(entries.includes("EVIL=a b'c\n$(id)"))
      })

      test('a command starts in / or where it is told to', async () => {
        assert.equal((await host.run(['pwd'])).stdout, '/\n')
        const name = "evil 'dir' $(id)"
        await host.makeDirectory(at(name))
        assert.equal((await host.run(['pwd'], { directory: at(name) })).stdout, `${at(name)}\n`)
      })

      test('input reaches the command byte by byte and is closed', async () => {
        const input = randomBytes(300_000)
        const result = await host.run(['sha256sum'], { input })
        const { createHash } = await import('node:crypto')
        assert.equal(result.stdout.split(' ')[0], createHash('sha256').update(input).digest('hex'))
        assert.equal((await host.run(['cat'], { input: '' })).stdout, '')
      })

      test('without input a command finds its standard input at its end', async () => {
        assert.equal((await host.run(['cat'])).stdout, '')
      })

      test('a function feeds the command for as long as it likes, and output is seen as it comes', async () => {
        const seen: string[] = []
        let say: ((line: string) => void) | undefined
        const onStdout = (chunk: Buffer): void => {
          seen.push(chunk.toString())
          if (seen.join('') === 'one\n') say?.('two\n')
        }
        const result = await host.run(['sh', '-c', 'read a; echo "$a"; read b; echo "$b"; cat'], {
          input: (stdin) => {
            say = (line) => stdin.end(line)
            stdin.write('one\n')
          },
          onStdout,
        })
        assert.equal(seen.join(''), 'one\ntwo\n')
        assert.deepEqual([result.exitCode, result.stdout], [0, 'one\ntwo\n'])
      })

      test('a command that does not read its input is judged by its exit code', async () => {
        const result = await host.run(['true'], { input: randomBytes(1_000_000) })
        assert.equal(result.exitCode, 0)
      })

      test('of a long output the last mebibyte is kept', async () => {
        const result = await host.run(['sh', '-c', 'yes 0123456789 | head -c 3000000; echo end'])
        assert.equal(Buffer.byteLength(result.stdout), 1024 * 1024)
        assert.ok(result.stdout.endsWith('end\n'))
      })

      test('a program that is not there is an error, not an exit code', async () => {
        await rejectsWith('HOST_COMMAND', host.run(['/no/such/program']))
        await rejectsWith('HOST_COMMAND', host.run(['true'], { directory: '/no/such/directory' }))
      })

      test('a command that takes too long is ended with its children', async () => {
        const script = `echo $$ >${at('pids')}; sleep 600 & echo $! >>${at('pids')}; wait`
        const started = performance.now()
        await rejectsWith('TIMEOUT', host.run(['sh', '-c', script], { timeoutMs: 1000 }))
        assert.ok(performance.now() - started < 15_000)
        await allGone(host, await pidsIn(host, at('pids')))
      })

      test('a command that ignores TERM is killed', async () => {
        const script = `trap '' TERM; echo $$ >${at('stubborn')}; while :; do sleep 1; done`
        await rejectsWith('TIMEOUT', host.run(['sh', '-c', script], { timeoutMs: 500 }))
        await allGone(host, await pidsIn(host, at('stubborn')))
      })

      test('an abort ends the command and rejects with its reason', async () => {
        const controller = new AbortController()
        const reason = new Error('the operator changed his mind')
        const script = `echo $$ >${at('aborted')}; exec sleep 600`
        const running = host.run(['sh', '-c', script], { signal: controller.signal })
        const outcome = assert.rejects(running, (error) => error === reason)
        await until('the command to run', async () => (await host.readFile(at('aborted')))?.length)
        controller.abort(reason)
        await outcome
        await allGone(host, await pidsIn(host, at('aborted')))
        const late = host.run(['true'], { signal: controller.signal })
        await assert.rejects(late, (error) => error === reason)
      })

      test('many commands run at once', async () => {
        const runs = Array.from({ length: 8 }, (_, i) => host.run(['echo', String(i)]))
        const said = (await Promise.all(runs)).map((result) => result.stdout.trim())
        assert.deepEqual(said, ['0', '1', '2', '3', '4', '5', '6', '7'])
      })
    })

    describe('files', () => {
      test('what is not there is undefined', async () => {
        const missing = at('missing')
        assert.equal(await host.readFile(missing), undefined)
        assert.equal(await host.inspect(missing), undefined)
        assert.equal(await host.list(missing), undefined)
        assert.equal(await host.readFile(at('missing', 'deeper')), undefined)
        await host.remove(missing)
        await host.writeFile(at('plain'), 'x')
        assert.equal(await host.readFile(at('plain', 'below a file')), undefined)
        assert.equal(await host.inspect(at('plain', 'below a file')), undefined)
        assert.equal(await host.list(at('plain')), undefined)
      })

      test('content comes back byte by byte', async () => {
        for (const content of [Buffer.alloc(0), randomBytes(1), randomBytes(3_000_000)]) {
          await host.writeFile(at('bytes'), content)
          assert.ok((await host.readFile(at('bytes')))?.equals(content))
          assert.equal((await host.inspect(at('bytes')))?.sizeBytes, content.length)
        }
        await host.writeFile(at('text'), 'grüße\n')
        assert.equal((await host.readFile(at('text')))?.toString(), 'grüße\n')
      })

      test('of a file that is longer than allowed no more than that is read', async () => {
        const rejected = async (path: string, limitBytes?: number): Promise<void> =>
          rejectsWith('FAILED', host.readFile(path, limitBytes), /longer than the .* are read/)
        await host.writeFile(at('limited'), Buffer.alloc(70_000, 1))
        assert.equal((await host.readFile(at('limited'), 70_000))?.length, 70_000)
        await rejected(at('limited'), 69_999)
        await host.run(['truncate', '-s', '100G', at('sparse')])
        const before = process.memoryUsage().rss
        await rejected(at('sparse'))
        await rejected(at('sparse'), 10)
        assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024)
        await host.remove(at('sparse'))
        await rejectsWith('FAILED', host.readFile('/dev/zero'), /no regular file/)
        // Not of /proc/self: over ssh the process that looks is gone when the next one reads.
        assert.ok(((await host.readFile('/proc/meminfo'))?.length ?? 0) > 100)
      })

      test('a new file is 0600; a replaced one keeps its mode; a given mode wins', async () => {
        const mode = async (): Promise<number | undefined> => (await host.inspect(at('mode')))?.mode
        await host.writeFile(at('mode'), '1')
        assert.equal(await mode(), 0o600)
        await host.writeFile(at('mode'), '2', { mode: 0o644 })
        assert.equal(await mode(), 0o644)
        await host.writeFile(at('mode'), '3')
        assert.equal(await mode(), 0o644)
        await host.writeFile(at('mode'), '4', { mode: 0o400 })
        assert.equal(await mode(), 0o400)
        assert.equal((await host.readFile(at('mode')))?.toString(), '4')
      })

      test('names that mean something to a shell are only names', async () => {
        await host.makeDirectory(at('evil'))
        for (const name of EVIL_NAMES) await host.writeFile(at('evil', name), name)
        assert.deepEqual(await host.list(at('evil')), [...EVIL_NAMES].sort())
        for (const name of EVIL_NAMES) {
          assert.equal((await host.readFile(at('evil', name)))?.toString(), name)
        }
        for (const name of ['-rf', "$(id) it's\nevil", '* ?']) {
          await host.makeDirectory(at('evil', name, name))
          await host.rename(at('evil', name), at('evil', `${name} moved`))
          assert.equal((await host.inspect(at('evil', `${name} moved`, name)))?.kind, 'directory')
          await host.remove(at('evil', `${name} moved`))
        }
        assert.deepEqual(await host.list(at('evil')), [...EVIL_NAMES].sort())
      })

      test('names are bytes, UTF-8 or not', async () => {
        await host.makeDirectory(at('bytes of names'))
        for (const name of BYTE_NAMES) await host.writeFile(at('bytes of names', name), name)
        assert.deepEqual(await namesIn(host, at('bytes of names')), hexOf(BYTE_NAMES))
        assert.deepEqual(await host.list(at('bytes of names')), [...BYTE_NAMES].sort())
        for (const name of BYTE_NAMES) {
          const moved = at('bytes of names', `${name} moved`)
          await host.rename(at('bytes of names', name), moved)
          assert.equal((await host.inspect(moved))?.kind, 'file')
          assert.ok((await host.readFile(moved))?.length)
          await host.remove(moved)
          await host.makeDirectory(at('bytes of names', name, name))
        }
        assert.deepEqual(await namesIn(host, at('bytes of names')), hexOf(BYTE_NAMES))
      })

      test('writing leaves no temporary file behind, nor does a refused write', async () => {
        await host.makeDirectory(at('clean', 'taken'))
        await host.writeFile(at('clean', 'file'), 'x')
        await rejectsWith('FAILED', host.writeFile(at('clean', 'taken'), 'x'))
        assert.deepEqual(await host.list(at('clean')), ['file', 'taken'])
      })

      test('a link is replaced, not followed', async () => {
        await host.writeFile(at('precious'), 'precious')
        await host.run(['ln', '-s', at('precious'), at('link')])
        const found = await host.inspect(at('link'))
        assert.deepEqual([found?.kind, found?.target], ['link', at('precious')])
        await host.writeFile(at('link'), 'mine')
        assert.equal((await host.readFile(at('precious')))?.toString(), 'precious')
        assert.equal((await host.inspect(at('link')))?.kind, 'file')
      })

      test('a directory is made with its parents and gets the mode asked for', async () => {
        await host.makeDirectory(at('one', 'two', 'three'), { mode: 0o750 })
        const modes = await Promise.all(
          [at('one'), at('one', 'two'), at('one', 'two', 'three')].map(
            async (path) => (await host.inspect(path))?.mode,
          ),
        )
        assert.deepEqual(modes, [0o755, 0o755, 0o750])
        await host.makeDirectory(at('one', 'two', 'three'))
        assert.equal((await host.inspect(at('one', 'two', 'three')))?.mode, 0o750)
        await host.makeDirectory(at('one', 'two', 'three'), { mode: 0o700 })
        assert.equal((await host.inspect(at('one', 'two', 'three')))?.mode, 0o700)
        await host.makeDirectory(at('private'))
        assert.equal((await host.inspect(at('private')))?.mode, 0o700)
      })

      test('a file in the way of a directory is an error', async () => {
        await host.writeFile(at('in the way'), '')
        await rejectsWith('FAILED', host.makeDirectory(at('in the way')))
        await rejectsWith('FAILED', host.makeDirectory(at('in the way', 'deeper')))
      })

      test('a whole tree is removed, links in it are not followed', async () => {
        await host.makeDirectory(at('tree', 'deep'))
        await host.writeFile(at('tree', 'deep', 'file'), 'x')
        await host.writeFile(at('survivor'), 'x')
        await host.run(['ln', '-s', directory, at('tree', 'up')])
        await host.remove(at('tree'))
        assert.equal(await host.inspect(at('tree')), undefined)
        assert.equal((await host.inspect(at('survivor')))?.kind, 'file')
      })

      test('the root directory is never removed', async () => {
        for (const path of ['/', '//', '/.', '/tmp/..']) {
          await rejectsWith('FAILED', host.remove(path))
        }
      })

      test('a rename replaces a file but not a directory with something in it', async () => {
        await host.writeFile(at('from'), 'new')
        await host.writeFile(at('to'), 'old')
        await host.rename(at('from'), at('to'))
        assert.equal((await host.readFile(at('to')))?.toString(), 'new')
        assert.equal(await host.inspect(at('from')), undefined)
        await host.makeDirectory(at('full', 'of'))
        await host.makeDirectory(at('empty'))
        await rejectsWith('FAILED', host.rename(at('empty'), at('full')))
        await rejectsWith('FAILED', host.rename(at('to'), at('full')))
        await rejectsWith('FAILED', host.rename(at('nothing'), at('to')))
        assert.deepEqual(await host.list(at('full')), ['of'])
        assert.equal((await host.readFile(at('to')))?.toString(), 'new')
      })

      test('a path that is not absolute is refused', async () => {
        await rejectsWith('FAILED', host.readFile('relative'))
        await rejectsWith('FAILED', host.writeFile('relative', ''))
        await rejectsWith('FAILED', host.remove('relative'))
        await rejectsWith('FAILED', host.rename(at('to'), 'relative'))
        await rejectsWith('FAILED', host.openTree('relative', {}))
      })

      test('writing into a directory that is not there is an error that makes nothing', async () => {
        await rejectsWith('FAILED', host.writeFile(at('nowhere', 'file'), 'x'))
        assert.equal(await host.inspect(at('nowhere')), undefined)
      })

      test('free space is known for paths that are still to be made', async () => {
        const free = await host.freeBytes(at('not', 'yet', 'there'))
        assert.ok(Number.isSafeInteger(free) && free > 0)
      })

      test('the time of the last change is known', async () => {
        await host.writeFile(at('timed'), 'x')
        await host.run(['touch', '-d', '@1700000000', at('timed')])
        assert.equal((await host.inspect(at('timed')))?.modifiedAtMs, 1_700_000_000_000)
      })
    })

    describe('sockets', () => {
      // Drivers are tested on this machine: what listens here is what the host has.
      const ask = async (path: string): Promise<string> => {
        const { promise, resolve, reject } = Promise.withResolvers<string>()
        const socket = createConnection({ path })
        socket.on('data', (chunk: Buffer) => resolve(chunk.toString()))
        socket.on('error', reject)
        socket.on('close', () => reject(new Error('it said nothing')))
        return await promise.finally(() => socket.destroy())
      }

      test('a Unix socket of the host is reached, also one that is made only later', async () => {
        const path = at('.s.PGSQL.5432')
        const reached = await host.reachSocket(path)
        assert.equal(basename(reached), '.s.PGSQL.5432')
        await assert.rejects(ask(reached))
        const server = createServer((socket) => socket.end('hello'))
        await new Promise<void>((resolve) => server.listen(path, resolve))
        chmodSync(path, 0o777)
        try {
          assert.equal(await host.reachSocket(path), reached)
          assert.equal(await ask(reached), 'hello')
        } finally {
          await new Promise((resolve) => server.close(resolve))
        }
      })
    })

    describe('trees', () => {
      const SIZES = [0, 1, 511, 512, 8192, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 7]

      test('files arrive whole, whatever the pieces, and pieces may be reused at once', async () => {
        await using tree = disposable(await host.openTree(at('pieces'), {}))
        const contents = SIZES.map((size) => randomBytes(size))
        const chunk = Buffer.alloc(70_001)
        for (const [index, content] of contents.entries()) {
          await tree.writer.beginFile(`base/${index}`, { mode: 0o600, sizeBytes: content.length })
          for (let from = 0; from < content.length; from += chunk.length) {
            const length = content.copy(chunk, 0, from)
            const waiting = tree.writer.write(chunk.subarray(0, length))
            if (waiting !== undefined) await waiting
            chunk.fill(0xee)
          }
          await tree.writer.endFile()
        }
        await tree.writer.sync()
        for (const [index, content] of contents.entries()) {
          const found = await host.readFile(at('pieces', 'base', String(index)))
          assert.ok(found?.equals(content), `file of ${content.length} bytes`)
        }
      })

      test('modes and times are those given', async () => {
        await using tree = disposable(await host.openTree(at('attributes'), {}))
        await tree.writer.makeDirectory('.', 0o750)
        await tree.writer.makeDirectory('global', 0o750)
        await tree.writer.makeDirectory('pg_wal/archive_status', 0o700)
        for (const sizeBytes of [3, 2_000_000]) {
          const attributes = { mode: 0o640, sizeBytes, modifiedAtMs: 1_500_000_000_000 }
          await tree.writer.beginFile(`global/${sizeBytes}`, attributes)
          await tree.writer.write(Buffer.alloc(sizeBytes))
          await tree.writer.endFile()
        }
        await tree.writer.sync()
        for (const sizeBytes of [3, 2_000_000]) {
          const found = await host.inspect(at('attributes', 'global', String(sizeBytes)))
          assert.equal(found?.mode, 0o640)
          assert.equal(found?.modifiedAtMs, 1_500_000_000_000)
        }
        assert.equal((await host.inspect(at('attributes')))?.mode, 0o750)
        assert.equal((await host.inspect(at('attributes', 'global')))?.mode, 0o750)
        const status = await host.inspect(at('attributes', 'pg_wal', 'archive_status'))
        assert.equal(status?.kind, 'directory')
      })

      test('hundreds of files and long names arrive', async () => {
        await using tree = disposable(await host.openTree(at('many'), {}))
        const long = `${'a'.repeat(120)}/${'b'.repeat(200)}`
        const paths = [...Array.from({ length: 300 }, (_, index) => `base/${index}`), long]
        paths.push(...EVIL_NAMES.map((name) => `evil/${name}`))
        for (const path of paths) await putFile(tree.writer, path, path)
        await tree.writer.sync()
        const all = await host.run(['cat', '--', ...paths.map((path) => at('many', path))])
        assert.equal(all.stdout, paths.join(''))
      })

      test('names of a tree are bytes, UTF-8 or not', async () => {
        await using tree = disposable(await host.openTree(at('byte tree'), {}))
        const long = `${BYTE_NAMES[0]}${'x'.repeat(150)}`
        const names = [...BYTE_NAMES, long]
        for (const name of names) await putFile(tree.writer, `d${name}/${name}`, 'x')
        for (const name of names) await tree.writer.makeLink(`l${name}`, `/srv/${name}`)
        await tree.writer.sync()
        for (const name of names) {
          assert.deepEqual(await namesIn(host, at('byte tree', `d${name}`)), hexOf([name]))
          assert.equal((await host.inspect(at('byte tree', `l${name}`)))?.target, `/srv/${name}`)
        }
        const again = await host.openTree(at('byte tree'), {})
        await refusedTree(again, (writer) => putFile(writer, `d${long}/${long}`, 'x'))
      })

      test('writing goes on after a sync', async () => {
        await using tree = disposable(await host.openTree(at('twice'), {}))
        await putFile(tree.writer, 'PG_VERSION', '18\n')
        await tree.writer.sync()
        await putFile(tree.writer, 'global/pg_control', 'control')
        await tree.writer.sync()
        assert.deepEqual(await host.list(at('twice')), ['PG_VERSION', 'global'])
      })

      test('an existing directory is filled, an existing file is never overwritten', async () => {
        await host.makeDirectory(at('existing', 'pg_wal'))
        await host.writeFile(at('existing', 'mine'), 'mine')
        const tree = await host.openTree(at('existing'), {})
        await putFile(tree, 'pg_wal/1', 'x')
        await refusedTree(tree, async (writer) => {
          await putFile(writer, 'mine', 'other')
        })
        assert.equal((await host.readFile(at('existing', 'mine')))?.toString(), 'mine')
      })

      test('no path leads out of the tree', async () => {
        for (const [index, path] of [
          '../out',
          '/etc/out',
          'a/../../out',
          '',
          'a/..',
          '..',
        ].entries()) {
          const tree = await host.openTree(at('jail', String(index)), {})
          await refusedTree(tree, (writer) => putFile(writer, path, 'x'))
          const other = await host.openTree(at('jail', String(index)), {})
          await refusedTree(other, (writer) => writer.makeDirectory(path, 0o700))
        }
        assert.equal(await host.inspect(at('jail', 'out')), undefined)
      })

      test('nothing is written through a link that leaves the tree', async () => {
        await host.makeDirectory(at('outside'))
        const tree = await host.openTree(at('linked'), {})
        await tree.makeLink('pg_tblspc/1', at('outside'))
        await tree.sync()
        assert.equal((await host.inspect(at('linked', 'pg_tblspc', '1')))?.target, at('outside'))
        await refusedTree(tree, (writer) => putFile(writer, 'pg_tblspc/1/x', 'x'))
        const again = await host.openTree(at('linked'), {})
        await refusedTree(again, (writer) => writer.makeDirectory('pg_tblspc/1/x', 0o700))
        assert.deepEqual(await host.list(at('outside')), [])
      })

      test('a file with more or fewer bytes than announced is refused', async () => {
        for (const [index, wrong] of [1, 3, 2_000_000].entries()) {
          const tree = await host.openTree(at('sizes', String(index)), {})
          await refusedTree(tree, async (writer) => {
            await writer.beginFile('file', { mode: 0o600, sizeBytes: 2 })
            await writer.write(Buffer.alloc(wrong))
            await writer.endFile()
          })
        }
      })

      test('an empty tree is a directory that exists', async () => {
        const tree = await host.openTree(at('new', 'empty'), {})
        await tree.sync()
        await tree.close()
        const found = await host.inspect(at('new', 'empty'))
        assert.deepEqual([found?.kind, found?.mode], ['directory', 0o700])
      })
    })

    describe('users', () => {
      test('commands run as the user that the host says', async () => {
        assert.equal((await host.run(['id', '-un'])).stdout.trim(), host.user)
      })

      test('a user who does not exist is named in the error', async () => {
        const running = host.run(['true'], { user: 'nobody-like-this' })
        await rejectsWith('HOST_PRIVILEGE', running, /nobody-like-this/)
        const writing = host.writeFile(at('x'), '', { owner: 'nobody-like-this' })
        await rejectsWith('HOST_PRIVILEGE', writing, /nobody-like-this/)
      })

      test('another user is refused where the host may not act as him', async (t) => {
        if (otherUser !== undefined) return t.skip('this host may')
        await rejectsWith('HOST_PRIVILEGE', host.run(['true'], { user: 'daemon' }))
        await rejectsWith('HOST_PRIVILEGE', host.writeFile(at('x'), '', { owner: 'daemon' }))
        await rejectsWith('HOST_PRIVILEGE', host.openTree(at('y'), { owner: 'daemon' }))
      })

      test('a command run as another user has his groups, home and name', async (t) => {
        if (otherUser === undefined) return t.skip('this host cannot act as somebody else')
        const options = { user: otherUser }
        assert.equal((await host.run(['id', '-un'], options)).stdout.trim(), otherUser)
        const groups = (text: string): string[] => text.trim().split(' ').sort()
        const wanted = await host.run(['id', '-Gn', otherUser])
        const found = await host.run(['id', '-Gn'], options)
        assert.deepEqual(groups(found.stdout), groups(wanted.stdout))
        const script = 'echo "$USER $LOGNAME $HOME"; getent passwd "$USER" | cut -d: -f6'
        const [names, home] = (await host.run(['sh', '-c', script], options)).stdout.split('\n')
        assert.equal(names, `${otherUser} ${otherUser} ${home}`)
      })

      test('errors of a command run as another user are his', async (t) => {
        if (otherUser === undefined) return t.skip('this host cannot act as somebody else')
        const options = { user: otherUser }
        await rejectsWith('HOST_COMMAND', host.run(['/no/such/program'], options))
        await host.writeFile(at('only mine'), 'x', { mode: 0o600 })
        const result = await host.run(['cat', at('only mine')], options)
        assert.notEqual(result.exitCode, 0)
        assert.equal((await host.run(['sh', '-c', 'exit 126'], options)).exitCode, 126)
        assert.equal((await host.run(['cat'], { user: otherUser, input: 'in' })).stdout, 'in')
      })

      test('a command of another user is ended with its children, too', async (t) => {
        if (otherUser === undefined) return t.skip('this host cannot act as somebody else')
        const user = otherUser
        await host.makeDirectory(at('of other'), { owner: user, mode: 0o700 })
        const file = at('of other', 'pids')
        const script = 'echo $$ >"$1"; sleep 600 & echo $! >>"$1"; wait'
        const running = host.run(['sh', '-c', script, 'sh', file], { user, timeoutMs: 1000 })
        await rejectsWith('TIMEOUT', running)
        await allGone(host, await pidsIn(host, file))
      })

      test('a file can be of one user and of the group of another', async (t) => {
        if (otherUser === undefined) return t.skip('this host cannot act as somebody else')
        await host.writeFile(at('grouped'), 'x', { mode: 0o640, groupOf: otherUser })
        const group = (await host.run(['id', '-gn', otherUser])).stdout.trim()
        const { stdout } = await host.run(['stat', '-c', '%U %G %a', at('grouped')])
        assert.equal(stdout.trim(), `${host.user} ${group} 640`)
      })

      test('files, directories and trees belong to whom they were given', async (t) => {
        if (otherUser === undefined) return t.skip('this host cannot act as somebody else')
        const owner = otherUser
        await host.writeFile(at('given'), 'x', { owner, mode: 0o600 })
        await host.writeFile(at('given'), 'y')
        await host.makeDirectory(at('given dir', 'inner'), { owner })
        const tree = await host.openTree(at('given tree'), { owner })
        await putFile(tree, 'base/1/file', 'x')
        await tree.makeDirectory('global', 0o700)
        await tree.makeLink('link', '/nowhere')
        await tree.sync()
        await tree.close()
        const inTree = ['.', 'base', 'base/1', 'base/1/file', 'global']
        const paths = ['given', 'given dir/inner', ...inTree.map((path) => `given tree/${path}`)]
        for (const path of paths) {
          assert.equal((await host.inspect(at(path)))?.owner, owner, path)
        }
        // Here it stays root's, by whose name alone it could be given away; there he makes it himself.
        const link = await host.inspect(at('given tree/link'))
        assert.deepEqual([link?.target, link?.owner], ['/nowhere', linkOwner(host, owner)])
        assert.equal((await host.inspect(at('given dir')))?.owner, host.user)
        const result = await host.run(['cat', at('given tree/base/1/file')], { user: owner })
        assert.equal(result.stdout, 'x')
      })
    })
  })
}

function linkOwner(host: Host, owner: string): string {
  return host instanceof LocalHost ? host.user : owner
}

/** Latin-1, a cut-off character, and a stray byte. */
const BYTE_NAMES = [
  [0x67, 0x72, 0xfc, 0xdf, 0x65],
  [0xe2, 0x82],
  [0x61, 0xff, 0x27],
].map((bytes) => pathOfBytes(Buffer.from(bytes)))

function hexOf(names: readonly string[]): readonly string[] {
  return names.map((name) => bytesOfPath(name).toString('hex')).sort()
}

/** What find(1) says is in a directory, as hexadecimal bytes. */
async function namesIn(host: Host, directory: string): Promise<readonly string[]> {
  const look = 'find "$1" -mindepth 1 -maxdepth 1 -printf "%f\\0" | od -An -v -tx1 | tr -d " \\n"'
  const { stdout } = await host.run(['sh', '-c', look, 'sh', directory])
  return stdout
    .split(/(?<=^(?:..)*)00/)
    .filter((name) => name !== '')
    .sort()
}

type Writer = Awaited<ReturnType<Host['openTree']>>

async function putFile(writer: Writer, path: string, content: string): Promise<void> {
  const bytes = Buffer.from(content)
  await writer.beginFile(path, { mode: 0o600, sizeBytes: bytes.length })
  await writer.write(bytes)
  await writer.endFile()
}

/** Asserts that `act` or the sync after it is refused, and that a sync says so again. */
async function refusedTree(writer: Writer, act: (writer: Writer) => Promise<void>): Promise<void> {
  const whole = async (): Promise<void> => {
    await act(writer)
    await writer.sync()
  }
  await rejectsWith('FAILED', whole())
  await assert.rejects(writer.sync())
  await writer.close()
}

function disposable(writer: Writer): AsyncDisposable & { writer: Writer } {
  return { writer, [Symbol.asyncDispose]: () => writer.close() }
}

async function rejectsWith(code: ErrorCode, work: Promise<unknown>, message = /./): Promise<void> {
  await assert.rejects(work, (error) => {
    if (!isBackstayError(error, code)) throw error
    assert.match(error.message, message)
    return true
  })
}

async function pidsIn(host: Host, path: string): Promise<string[]> {
  const text = (await host.readFile(path))?.toString() ?? ''
  const pids = text.trim().split('\n')
  assert.ok(pids.length > 0 && pids[0] !== '')
  return pids
}

async function allGone(host: Host, pids: readonly string[]): Promise<void> {
  await until(`processes ${pids.join(', ')} to be gone`, async () => {
    const states = await Promise.all(
      pids.map(async (pid) => (await host.readFile(`/proc/${pid}/stat`))?.toString() ?? ') Z'),
    )
    return states.every((stat) => stat.includes(') Z') || stat === '')
  })
}
