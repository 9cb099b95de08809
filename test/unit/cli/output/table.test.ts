/**
 * Tables are aligned by what the terminal shows, and cut to its width.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth } from '../../../../src/cli/output/display-width.ts'
import { type Column, renderTable, truncate } from '../../../../src/cli/output/table.ts'

interface Row {
  readonly name: string
  readonly size: number
  readonly note: string
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'name', value: ({ name }) => name },
  { title: 'size', value: ({ size }) => String(size), align: 'right' },
  { title: 'note', value: ({ note }) => note, shrinks: true },
]

test('columns are aligned below capital headings, without spaces at the end', () => {
  const rows = [
    { name: 'db1', size: 5, note: '' },
    { name: 'standby', size: 12345, note: 'far away' },
  ]
  assert.equal(
    renderTable(COLUMNS, rows),
    `NAME      SIZE  NOTE\ndb1          5\nstandby  12345  far away\n`,
  )
})

test('wide characters and colours count as what is seen', () => {
  const rows = [
    { name: '数据库', size: 1, note: 'x' },
    { name: '\x1b[32mdb\x1b[39m', size: 2, note: 'y' },
  ]
  assert.equal(
    renderTable(COLUMNS, rows),
    `NAME    SIZE  NOTE\n数据库     1  x\n\x1b[32mdb\x1b[39m         2  y\n`,
  )
})

test('a table that is too wide cuts the column that gives way', () => {
  const rows = [{ name: 'db1', size: 5, note: 'a very long note indeed' }]
  assert.equal(renderTable(COLUMNS, rows, 24), 'NAME  SIZE  NOTE\ndb1      5  a very long…\n')
})

test('a cut column keeps at least eight places', () => {
  const rows = [{ name: 'db1', size: 5, note: 'a very long note indeed' }]
  assert.match(renderTable(COLUMNS, rows, 5), /a very …\n$/)
})

test('text is cut between characters, never inside one', () => {
  assert.equal(truncate('abc', 3), 'abc')
  assert.equal(truncate('abcd', 3), 'ab…')
  assert.equal(truncate('数据库', 4), '数…')
  assert.equal(truncate('👨‍👩‍👧x', 2), '…')
})

test('European scripts are counted as the library counts them', async () => {
  const { default: stringWidth } = await import('string-width')
  for (const text of ['naïve – Straße…', 'Резервная копия', 'Αθήνα ✓', '\x1b[31mred\x1b[39m']) {
    assert.equal(displayWidth(text), stringWidth(text), text)
  }
})
