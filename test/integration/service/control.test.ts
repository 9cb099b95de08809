/** The service's socket: private, one service at a time, answers that are errors arrive as errors. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import { callService } from '../../../src/service/control-client.ts'
import type { ControlCall } from '../../../src/service/control-protocol.ts'
import { listenForControl } from '../../../src/service/control-server.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const TIMEOUT_MS = 5000
const STATUS: ControlCall = { call: 'status' }

describe('control socket', () => {
  it('answers calls and is open to its owner only', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    await using _control = await listenForControl(path, async (call) => ({ heard: call.call }))
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => callService(path, STATUS, TIMEOUT_MS)),
    )
    assert.ok(answers.every((answer) => JSON.stringify(answer) === '{"result":{"heard":"status"}}'))
  })

  it('brings an error back with its code and hint', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    await using _control = await listenForControl(path, async () => {
      throw new BackstayError('WAL_MISSING', 'Cannot get it', { hint: 'Wait.' })
    })
    await assert.rejects(
      callService(path, STATUS, TIMEOUT_MS),
      (error) => isBackstayError(error, 'WAL_MISSING') && error.hint === 'Wait.',
    )
  })

  it('says that no service runs, also when a dead one left its socket', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    assert.equal(await callService(path, STATUS, TIMEOUT_MS), 'absent')
    writeFileSync(path, '')
    await using _control = await listenForControl(path, async () => 'here')
    assert.deepEqual(await callService(path, STATUS, TIMEOUT_MS), { result: 'here' })
  })

  it('waits for one that never comes to the end of its answer no longer than for a silent one', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    const server = createServer((socket) => {
      const timer = setInterval(() => socket.write('x'), 20)
      setTimeout(() => socket.end(), 10_000).unref()
      socket.on('error', () => undefined).on('close', () => clearInterval(timer))
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    try {
      await assert.rejects(
        callService(path, STATUS, 200),
        (error) =>
          isBackstayError(error, 'TIMEOUT') && /did not answer in time/.test(error.message),
      )
    } finally {
      server.close()
    }
  })

  it('says what a call lacks, instead of calling it a bug', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    await using _control = await listenForControl(path, async (call) =>
      call.call === 'trigger' ? call.job.toUpperCase() : undefined,
    )
    for (const call of [
      { call: 'trigger' },
      { call: 'trigger', job: 7 },
      { call: 'get-wal', cluster: 'shop', name: {} },
      { call: ['status'] },
      { call: '__proto__' },
      null,
      [],
    ]) {
      const attempt = callService(path, call as unknown as ControlCall, TIMEOUT_MS)
      await assert.rejects(attempt, (error) => isBackstayError(error, 'USAGE'))
    }
  })

  it('refuses a second service', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    await using _control = await listenForControl(path, async () => 'first')
    await assert.rejects(
      listenForControl(path, async () => 'second'),
      (error) => isBackstayError(error, 'REPOSITORY_LOCKED'),
    )
  })

  it('answers nonsense with an error', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'sock')
    await using _control = await listenForControl(path, async () => 'never')
    for (const words of ['hello', '{"call":"destroy"}', '7']) {
      const socket = connect(path)
      socket.end(words)
      assert.match(await text(socket), /"ok":false.*"USAGE"/)
    }
  })
})
