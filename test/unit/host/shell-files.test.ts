/**
 * Reading stat and the messages of file tools.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitNames } from '../../../src/host/read-limit.ts'
import { parseInspect, RemoteFileError, ShellFiles } from '../../../src/host/shell-files.ts'

test('stat is read: kind, mode, owner, time, target', () => {
  assert.deepEqual(parseInspect('81a4 1234 101 postgres 1700000000.123 8:77:1600000000\n'), {
    kind: 'file',
    sizeBytes: 1234,
    mode: 0o644,
    owner: 'postgres',
    modifiedAtMs: 1_700_000_000_123,
    identity: '8:77:1600000000',
    target: undefined,
  })
  assert.equal(parseInspect('41c0 1 0 root 1.000 1:2:0\n').kind, 'directory')
  assert.equal(parseInspect('21b6 1 0 root 1.000 1:2:0\n').kind, 'other')
  assert.equal(parseInspect('a1ff 1 4242 UNKNOWN 1.000 1:2:0\n/a\nb').owner, '4242')
  assert.equal(parseInspect('a1ff 1 4242 UNKNOWN 1.000 1:2:0\n/a\nb').target, '/a\nb')
})

test('what the tools say becomes the errno behind it', () => {
  const code = (text: string): string | undefined => new RemoteFileError(text).code
  assert.equal(code("mkdir: cannot create directory '/x': Permission denied"), 'EACCES')
  assert.equal(code('cat: write error: No space left on device'), 'ENOSPC')
  assert.equal(code('something else'), undefined)
})

test('a name that is an errno is none', () => {
  const { code } = new RemoteFileError(
    "rm: cannot remove '/x/No such file or directory': Permission denied\n",
  )
  assert.equal(code, 'EACCES')
})

test('what could not be removed is not called removed because something in it was gone', async () => {
  const files = new ShellFiles({
    run: ({ command }) =>
      Promise.resolve(
        command[2]?.includes('rm -rf') === true
          ? {
              exitCode: 1,
              stdout: Buffer.alloc(0),
              stderr:
                "rm: cannot remove 'a': No such file or directory\nrm: cannot remove 'b': Permission denied\n",
            }
          : { exitCode: 0, stdout: Buffer.from('41c0 1 0 root 1.000 1:2:0\n'), stderr: '' },
      ),
    asWayOwner: false,
  })
  await assert.rejects(files.remove('/data'), { message: /Permission denied/ })
})

test('names are not split that are more, or longer, than a directory has', () => {
  assert.deepEqual(splitNames('/d', Buffer.from('a\0b c\0')), ['a', 'b c'])
  const many = Buffer.alloc(9_000_000).fill('x\0')
  assert.throws(
    () => splitNames('/d', many),
    /Cannot list "\/d": its names are more than the 4000000/,
  )
  assert.throws(() => splitNames('/d', Buffer.concat([Buffer.alloc(70_000, 0xff), Buffer.of(0)])))
})
