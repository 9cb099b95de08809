/**
 * What ssh wrote of a host's key, read.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHostKey } from '../../../src/host/host-key.ts'

const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIPcLPKfZlUBbyyrAFBRvqcNE0RXq4pPWfLMPKdg3tSk5'
const OTHER = KEY.replace('IPcL', 'IPcM')

test('the fingerprint is that of the key in the lines', () => {
  const shown = parseHostKey(`[db1]:2222 ssh-ed25519 ${KEY}\n`)
  assert.match(shown?.fingerprint ?? '', /^ssh-ed25519 SHA256:[A-Za-z0-9+/]{43}$/)
  assert.equal(shown?.lines, `[db1]:2222 ssh-ed25519 ${KEY}\n`)
  const other = parseHostKey(`[db1]:2222 ssh-ed25519 ${OTHER}\n`)
  assert.notEqual(other?.fingerprint, shown?.fingerprint)
})

test('hashed names of one host have a line each, and one key', () => {
  const names = ['|1|5pHo/2vZQHM=|vDpz=', '|1|Jpq=|zzz=']
  const text = names.map((name) => `${name} ssh-ed25519 ${KEY}\n`).join('')
  assert.equal(parseHostKey(text)?.lines, text)
})

test('what is no plain key, or more than one, is none', () => {
  for (const text of [
    '',
    'db1 ssh-ed25519',
    `@cert-authority * ssh-ed25519 ${KEY}\n`,
    `db1 ssh-ed25519 ${KEY}\ndb1 ssh-ed25519 ${OTHER}\n`,
    `db1 ssh-\u001b[2Jed ${KEY}\n`,
    `db1 ssh-ed25519 ${KEY}\n`.repeat(1000),
  ]) {
    assert.equal(parseHostKey(text), undefined, JSON.stringify(text.slice(0, 60)))
  }
})
