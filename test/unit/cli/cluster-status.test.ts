/**
 * The status screen on terminals of different widths.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeColour } from '../../../src/cli/output/colour.ts'
import { displayWidth } from '../../../src/cli/output/display-width.ts'
import { renderStatus } from '../../../src/cli/text/cluster-status.ts'
import { statusOf } from '../../../src/report/status.ts'
import { healthy, server, wish } from '../cluster/builders.ts'

const WANTED = wish({
  servers: [
    server('db1', { role: 'primary', address: '192.168.100.10' }),
    server('db2', { address: '192.168.100.11' }),
  ],
})
const STATUS = statusOf(WANTED, healthy(WANTED), {
  backup: undefined,
  takenAt: '2026-11-22T10:00:00.000Z',
})

function shown(columns: number | undefined): readonly string[] {
  return renderStatus(STATUS, { colour: makeColour(false), columns }).split('\n')
}

test('on 80 columns no row of the table wraps, and addresses and slots are whole', () => {
  const lines = shown(80)
  const table = lines.slice(lines.findIndex((line) => line.startsWith('SERVER')))
  for (const line of table) assert.ok(displayWidth(line) <= 80, line)
  assert.doesNotMatch(table.join('\n'), /…/)
  assert.match(table.join('\n'), /^ {2}db2: 192\.168\.100\.11:\d+, PostgreSQL \d+/m)
  assert.match(table.join('\n'), /^ {4}slot backstay_db2 \(active, keeps .*\)$/m)
})

test('where there is room, and in a pipe, it is one table', () => {
  for (const columns of [undefined, 200]) {
    assert.match(
      shown(columns).join('\n'),
      /SERVER .* ADDRESS .* SLOT\n.*\n.*backstay_db2 \(active/,
    )
  }
})
