/**
 * A store read through a pipe passes the same suite: what is put into the directory is read at the other end.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { PipeClient } from '../../src/store/pipe-client.ts'
import { PipeStore } from '../../src/store/pipe-store.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { bothEnds, describeStore } from './store.ts'

const SERVER = join(import.meta.dirname, 'pipe-store-server.ts')

function pipeTo(directory: string): PipeClient {
  return new PipeClient([process.execPath, SERVER, directory])
}

describeStore('a directory through a pipe', async () => {
  const base = temporaryDirectory()
  const pipe = new PipeStore(pipeTo(base.path))
  return {
    store: bothEnds(new DiskStore(base.path), pipe),
    [Symbol.asyncDispose]: async () => {
      await pipe[Symbol.asyncDispose]()
      await base[Symbol.asyncDispose]()
    },
  }
})

test('an object larger than one frame comes whole, and many reads overlap', async () => {
  await using base = temporaryDirectory()
  await using pipe = new PipeStore(pipeTo(base.path))
  const content = Buffer.alloc(20_000_000, 'backstay')
  await new DiskStore(base.path).put('big', content)
  const all = await Promise.all([
    pipe.get('big', 2 ** 30),
    pipe.get('big', 2 ** 30),
    pipe.get('big', 2 ** 30),
  ])
  for (const got of all) assert.ok(got?.equals(content))
})

test('nothing outside the scope is seen, nothing is written, and unknown calls are refused', async () => {
  await using base = temporaryDirectory()
  const client = pipeTo(base.path)
  await using pipe = new PipeStore(client)
  await new DiskStore(base.path).put('secret/a', Buffer.from('x'))
  await new DiskStore(base.path).put('open/a', Buffer.from('x'))
  assert.equal(await pipe.size('secret/a'), undefined)
  assert.deepEqual(await pipe.listFolders(''), ['open'])
  for await (const name of pipe.list('')) assert.equal(name, 'open/a')
  await assert.rejects(client.bytes('read', { name: 'secret/a', position: 0, length: 1 }))
  await assert.rejects(client.call('size', { name: '../x' }))
  await assert.rejects(pipe.put(), (error) => isBackstayError(error, 'BUG'))
  await assert.rejects(client.call('toString'), /is no call/)
  assert.deepEqual(await client.call('echo', { a: 1 }), { a: 1 })
})

test('closing waits for the process to end, and an idle one keeps nobody alive', () => {
  const script = (last: string): string => `
    import { PipeClient } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/pipe-client.ts'))}
    const client = new PipeClient([process.execPath, ${JSON.stringify(SERVER)}, '/nowhere'])
    await client.call('echo')
    ${last}`
  for (const last of [
    "await client[Symbol.asyncDispose](); console.log('closed')",
    "console.log('left')",
  ]) {
    const words = ['--input-type=module-typescript', '-e', script(last)]
    const { status, stdout } = spawnSync(process.execPath, words, { timeout: 30_000 })
    assert.equal(status, 0, last)
    assert.match(stdout.toString(), /closed|left/)
  }
})

test('a process that dies, or that is not there, fails every read with what it said', async () => {
  const dying = new PipeClient(['sh', '-c', 'echo no room >&2; exit 3'])
  await assert.rejects(
    dying.call('echo'),
    (error) => isBackstayError(error, 'HOST_UNREACHABLE') && /no room/.test(error.message),
  )
  await assert.rejects(dying.call('echo'), /no room/)
  await using missing = new PipeClient(['/no/such/program'])
  await assert.rejects(missing.call('echo'), /ENOENT/)
})
