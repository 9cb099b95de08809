import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { attempt, type RejoinCourse } from '../../../src/failover/rejoin-course.ts'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'

const context = { signal: new AbortController().signal } as ClusterContext

function fails(code: ErrorCode): () => Promise<never> {
  return async () => {
    throw new BackstayError(code, `a ${code}`)
  }
}

test('an attempt that cloning would mend is a reason for the next way', async () => {
  const course = { reasons: [] as string[] } as unknown as RejoinCourse
  for (const code of ['WAL_UNAVAILABLE', 'POSTGRES_IDENTITY', 'HOST_COMMAND'] as const) {
    const ended = await attempt(context, course, { what: 'it could not follow', work: fails(code) })
    assert.equal(ended, undefined)
  }
  assert.deepEqual(course.reasons, [
    'it could not follow: a WAL_UNAVAILABLE',
    'it could not follow: a POSTGRES_IDENTITY',
    'it could not follow: a HOST_COMMAND',
  ])
})

test('what passes, or what a clone meets as well, costs no clone', async () => {
  const course = { reasons: [] as string[] } as unknown as RejoinCourse
  for (const code of [
    'HOST_UNREACHABLE',
    'TIMEOUT',
    'POSTGRES_HBA',
    'POSTGRES_AUTH',
    'DISK_SPACE',
  ] as const) {
    const work = fails(code)
    await assert.rejects(attempt(context, course, { what: 'it could not follow', work }), { code })
    const what = 'its WAL could not be saved'
    assert.equal(await attempt(context, course, { what, work, isOptional: true }), undefined)
  }
  assert.equal(course.reasons.length, 5)
})
