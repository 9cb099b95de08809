/**
 * Tasks report how they ended and how long they took: as lines in a pipe, redrawn in place on a terminal.
 */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { makeColour, wantsColour } from '../../../../src/cli/output/colour.ts'
import { plainTasks, silentTasks } from '../../../../src/cli/output/tasks.ts'
import { TerminalTasks } from '../../../../src/cli/output/terminal-tasks.ts'
import type { Clock } from '../../../../src/util/clock.ts'

function around(columns = 70) {
  const written: string[] = []
  const time = { nowMs: 0 }
  const clock: Clock = {
    now: () => time.nowMs,
    monotonic: () => time.nowMs,
    sleep: () => Promise.reject(new Error('nobody sleeps here')),
  }
  // Escape sequences are spelt out, so that expectations can be read.
  const write = (text: string) => void written.push(text.replaceAll('\x1b', '<ESC>'))
  return { written, time, clock, write, colour: makeColour(false), columns: () => columns }
}

test('in a pipe a task is one line when it has ended', async () => {
  const pipe = around()
  const tasks = plainTasks(pipe)
  const value = await tasks.task('Clone db2', async (task) => {
    task.update('copying')
    task.progress(1, 2)
    pipe.time.nowMs += 4100
    return 7
  })
  tasks.note('all well')
  assert.equal(value, 7)
  assert.equal(pipe.written.join(''), '✓ Clone db2 (4.1 s)\nall well\n')
})

test('a task that fails says so and throws what the work threw', async () => {
  const pipe = around()
  const failure = new Error('no')
  await assert.rejects(
    plainTasks(pipe).task('Clone db2', () => Promise.reject(failure)),
    (error) => error === failure,
  )
  assert.equal(pipe.written.join(''), '✗ Clone db2 (0.0 s)\n')
})

test('a silent reporter does the work', async () => {
  assert.equal(await silentTasks.task('x', async () => 7), 7)
})

test('on a terminal tasks that run are redrawn below those that ended', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  const terminal = around()
  const tasks = new TerminalTasks(terminal)
  const first = Promise.withResolvers<void>()
  const second = Promise.withResolvers<void>()
  const both = [
    tasks.task('Clone db2', (task) => {
      task.update('base/1')
      task.progress(512, 1024)
      return first.promise
    }),
    tasks.task('Clone db3', () => second.promise),
  ]
  terminal.time.nowMs = 1000
  mock.timers.tick(80)
  assert.match(
    terminal.written.at(-1) ?? '',
    /^<ESC>\[2A\r<ESC>\[0J\S Clone db2 {2}base\/1 {2}█{10}░{10} {2}50 % {2}512 B of 1\.0 kB {2}51…\n\S Clone db3 {2}1\.0 s\n$/,
  )
  second.resolve()
  await both[1]
  assert.match(
    terminal.written.at(-1) ?? '',
    /^<ESC>\[2A\r<ESC>\[0J✓ Clone db3 \(1\.0 s\)\n\S Clone db2 .*\n$/,
  )
  first.resolve()
  await both[0]
  assert.equal(terminal.written.at(-1), '<ESC>[1A\r<ESC>[0J✓ Clone db2 (1.0 s)\n')
  const count = terminal.written.length
  mock.timers.tick(1000)
  assert.equal(terminal.written.length, count, 'nothing is drawn when nothing runs')
  mock.timers.reset()
})

test('colours are for terminals of people who did not refuse them', () => {
  const terminal = { isTTY: true }
  assert.equal(wantsColour(terminal, {}, false), true)
  assert.equal(wantsColour({}, {}, false), false)
  assert.equal(wantsColour(terminal, {}, true), false)
  assert.equal(wantsColour(terminal, { NO_COLOR: '1' }, false), false)
  assert.equal(wantsColour(terminal, { NO_COLOR: '' }, false), true)
  assert.equal(wantsColour(terminal, { TERM: 'dumb' }, false), false)
  assert.equal(makeColour(true).good('x'), '\x1b[32mx\x1b[39m')
})
