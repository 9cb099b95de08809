/**
 * What a server says reaches the terminal as text only: no sequence of it moves the cursor, hides or rewrites.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeColour } from '../../../src/cli/output/colour.ts'
import { makeOutput } from '../../../src/cli/output/output.ts'
import { renderErrorText } from '../../../src/errors/render.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { startPostgres } from '../../harness/postgres.ts'

/** Every character that steers a terminal, but line ends, tabs, and what our own colours are made of. */
// oxlint-disable-next-line no-control-regex
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

test('the error of a server is printed without what steers a terminal', async () => {
  await using server = await startPostgres({ major: 18 })
  await using sql = await SqlClient.connect(server.connection)
  const said = String.raw`E'\x1b[2J\x1b]0;title\x07 all is well\r\u202e\u009b31m'`
  const statement = `DO $$ BEGIN RAISE EXCEPTION '%', ${said} USING HINT = ${said}; END $$`
  const error: unknown = await sql.query(statement).catch((reason: unknown) => reason)
  const text = renderErrorText(error)
  assert.ok(!STEERING.test(text), JSON.stringify(text))
  assert.ok(text.includes(String.raw`\x1b[2J`), text)
})

test('output keeps our colours and line ends, and nothing else that steers', async () => {
  for (const isTTY of [true, false]) {
    const written: string[] = []
    const stdout = { write: (part: string) => written.push(part) > 0, columns: 80, isTTY }
    const globals = { json: false, quiet: false, noColor: false } as never
    const output = await makeOutput({
      stdout,
      environment: {},
      clock: systemClock,
      globals,
    })
    const colour = makeColour(true)
    output.write(`${colour.good('ok')}\tdb1\n`)
    assert.equal(written.join(''), `${colour.good('ok')}\tdb1\n`)
    output.write('db2\u001b[2J\u001b[8mhidden')
    await output.tasks.task('clone \u001b[5A', async () => undefined)
    output.tasks.note('note \u001b]52;c;aGk=\u0007')
    const text = written.join('')
    for (const sequence of ['\u001b[2J', '\u001b[8m', '\u001b[5A', '\u001b]52', '\u0007']) {
      assert.ok(!text.includes(sequence), JSON.stringify(text))
    }
  }
})
