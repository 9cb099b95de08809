/** A minute of hostile inputs, other ones each time; `npm run fuzz -- --seconds N` goes on for longer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

const SECONDS = 60

test('everything that reads what others wrote ends soon, with an error of the catalogue at most', async (t) => {
  const seed = Math.floor(Math.random() * 1e9)
  const { inputs, targets, wrong } = await fuzz({ seconds: SECONDS, seed })
  assert.equal(wrong, undefined)
  t.diagnostic(`seed ${seed}: ${inputs} inputs for ${targets.length} readers`)
  assert.ok(inputs > targets.length * 10, `${inputs} inputs`)
})
