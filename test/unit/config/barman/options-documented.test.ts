/**
 * docs/barman.md says of every option of a server what becomes of it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SERVER_OPTIONS } from '../../../../src/config/barman/options.ts'

const STANDINGS = { honoured: 'honoured', notice: 'accepted, no effect', refused: 'refused' }

test('every option of a server stands in docs/barman.md with its standing', () => {
  const file = new URL('../../../../docs/barman.md', import.meta.url)
  const rows = readFileSync(file, 'utf8').matchAll(/^\| `([a-z_]+)` \| ([a-z, ]+) \|/gm)
  const documented = new Map([...rows].map(([, name = '', standing = '']) => [name, standing]))
  const expected = [...SERVER_OPTIONS.values()].map(({ name, standing }): [string, string] => [
    name,
    STANDINGS[standing],
  ])
  assert.deepEqual(documented, new Map(expected))
})
