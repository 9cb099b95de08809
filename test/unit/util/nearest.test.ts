/**
 * The nearest word is found, and none where none is near.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../../src/util/nearest.ts'

const WORDS = ['status', 'standby', 'restore', 'repository']

test('a slip of the finger finds the word that was meant', () => {
  assert.equal(nearest('stauts', WORDS), 'status')
  assert.equal(nearest('repositry', WORDS), 'repository')
  assert.equal(nearest('Restore', WORDS), 'restore')
  assert.equal(nearest('standbyy', WORDS), 'standby')
})

test('a word that resembles none finds none', () => {
  assert.equal(nearest('backup', WORDS), undefined)
  assert.equal(nearest('x', []), undefined)
})
