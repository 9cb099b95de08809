/**
 * The line to whoever ordered work from elsewhere.
 */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { openLifeline } from '../../../src/cli/session/lifeline.ts'

/** Until what was written to a stream has been read. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('the lifeline', () => {
  test('gives the order, however it is cut, and lives on signs of life', async () => {
    const stdin = new PassThrough()
    using line = openLifeline(stdin)
    stdin.write('{"a":')
    await settled()
    stdin.write('"ü"}\n\n')
    assert.equal(await line.order, '{"a":"ü"}')
    assert.equal(line.signal.aborted, false)
  })

  test('aborts as soon as the other end is gone', async () => {
    const stdin = new PassThrough()
    using line = openLifeline(stdin)
    stdin.end('{}\n')
    assert.equal(await line.order, '{}')
    await settled()
    assert.match(String(line.signal.reason), /gone: standard input has ended/)
  })

  test('an end before the order is the failure of the order', async () => {
    const stdin = new PassThrough()
    using line = openLifeline(stdin)
    stdin.end('{')
    await assert.rejects(line.order, { code: 'INTERRUPTED' })
  })

  test('a minute without a sign of life aborts, one with them does not', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const stdin = new PassThrough()
    using line = openLifeline(stdin)
    for (let signs = 0; signs < 30; signs += 1) {
      t.mock.timers.tick(5000)
      stdin.write('\n')
      await settled()
    }
    assert.equal(line.signal.aborted, false)
    t.mock.timers.tick(60_000)
    assert.equal(line.signal.aborted, false)
    t.mock.timers.tick(5000)
    assert.match(String(line.signal.reason), /no sign of life for a minute/)
  })

  test('is not watched any more once the work is done', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const stdin = new PassThrough()
    const line = openLifeline(stdin)
    line[Symbol.dispose]()
    t.mock.timers.tick(600_000)
    await settled()
    assert.equal(line.signal.aborted, false)
  })
})
