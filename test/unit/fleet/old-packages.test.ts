import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type PackageThere, packagesToRemove } from '../../../src/fleet/old-packages.ts'

const NOW = 10 * 86_400_000
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map((letter) => `0.1.0-${letter.repeat(10)}`) as [
  string,
  string,
  string,
  string,
]

function whole(version: string, completedAtMs: number): PackageThere {
  return { version, completedAtMs, modifiedAtMs: completedAtMs }
}

function gone(
  there: readonly PackageThere[],
  use: { current?: string; running?: string[] } = {},
): readonly string[] {
  const { current, running = [] } = use
  return packagesToRemove(there, { wanted: D, current, running, nowMs: NOW })
}

describe('old versions of Backstay on a machine', () => {
  test('the shipped one and the one before stay, older ones go', () => {
    assert.deepEqual(gone([whole(A, 1), whole(B, 3), whole(C, 2), whole(D, 4)]), [C, A])
    assert.deepEqual(gone([whole(C, 2), whole(D, 4)]), [])
  })

  test('what the link names and what a process runs from stays, however old', () => {
    const there = [whole(A, 1), whole(B, 2), whole(C, 3), whole(D, 4)]
    assert.deepEqual(gone(there, { current: A }), [B])
    assert.deepEqual(gone(there, { current: A, running: [B] }), [])
  })

  test('half of one goes only when nobody can be shipping it any more', () => {
    const half = (ageMs: number): PackageThere => ({
      version: A,
      completedAtMs: undefined,
      modifiedAtMs: NOW - ageMs,
    })
    assert.deepEqual(gone([half(60_000), whole(D, 4)]), [])
    assert.deepEqual(gone([half(2 * 86_400_000), whole(D, 4)]), [A])
  })

  test('a directory with a name of somebody else stays', () => {
    const foreign = ['current', 'data', '1.0.0', '..', '0.1.0-zzzzzzzzzz'].map((name) =>
      whole(name, 1),
    )
    assert.deepEqual(gone([...foreign, whole(A, 1), whole(D, 4)]), [])
  })
})
