/**
 * Tasks in sequence: each ends when the next begins, the last as the work does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainTasks } from '../../../src/cli/output/tasks.ts'
import { makeColour } from '../../../src/cli/output/colour.ts'
import { inSequence } from '../../../src/cli/session/task-sequence.ts'
import { systemClock } from '../../../src/util/clock.ts'

function lines(): { readonly told: string[]; readonly tasks: ReturnType<typeof plainTasks> } {
  const told: string[] = []
  const write = (text: string): void => void told.push(text.replace(/ \(.*\n$/, ''))
  return { told, tasks: plainTasks({ write, clock: systemClock, colour: makeColour(false) }) }
}

test('each task ends when the next begins, and all before the work gives its value back', async () => {
  const { told, tasks } = lines()
  const value = await inSequence(tasks, async (line) => {
    const isBegun = (): boolean => line.handle !== undefined
    assert.equal(isBegun(), false)
    line.begin('one')
    assert.equal(isBegun(), true)
    line.begin('two')
    line.handle?.update('something')
    await Promise.resolve()
    return 5
  })
  assert.equal(value, 5)
  assert.deepEqual(told, ['✓ one', '✓ two'])
})

test('the task that runs when the work fails has failed', async () => {
  const { told, tasks } = lines()
  const failing = inSequence(tasks, async (line) => {
    line.begin('one')
    line.begin('two')
    await Promise.resolve()
    throw new Error('no')
  })
  await assert.rejects(failing, /no/)
  assert.deepEqual(told, ['✓ one', '✗ two'])
})

test('work without a task says nothing', async () => {
  const { told, tasks } = lines()
  await inSequence(tasks, async () => Promise.resolve())
  assert.deepEqual(told, [])
})
