/**
 * Answers to `backstay init` are judged one by one and become a cluster.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INIT_QUESTIONS, newClusterOf } from '../../../src/cli/session/init-questions.ts'

const JUDGED: readonly [key: string, answer: string, fault: RegExp | undefined][] = [
  ['cluster', 'shop', undefined],
  ['cluster', 'My Shop', /small letter/],
  ['postgres', '11', undefined],
  ['postgres', '10', /11 to 18/],
  ['postgres', 'new', /11 to 18/],
  ['primary', 'db1.example:5433', undefined],
  ['primary', '::1', undefined],
  ['primary', '', /is needed/],
  ['primary', 'a b', /no name or address/],
  ['primary', 'db1:99999', /99999 is no port/],
  ['standby', '', undefined],
  ['standby', 'a, b', undefined],
  ['standby', 'a,/tmp', /"\/tmp" is no name/],
  ['standby', 'a b', /"a b" is no name/],
  ['standby', 'a, b, A:5432', /"A:5432" is named twice/],
  ['standby', 'db1', /"db1" is named twice/],
  ['standby', 'db1:5433', undefined],
  ['postgres', '0x12', /11 to 18/],
  ['backupHost', '', undefined],
  ['backupHost', 'a b', /no spaces/],
  ['repository', '/srv', undefined],
  ['directory', 'data', /must start with "\/"/],
]

for (const [key, answer, fault] of JUDGED) {
  test(`"${answer}" ${fault === undefined ? 'answers' : 'does not answer'} ${key}`, () => {
    const text = INIT_QUESTIONS.find((question) => question.key === key)?.fault(answer, {
      primary: 'DB1',
    })
    if (fault === undefined) assert.equal(text, undefined)
    else assert.match(text ?? '', fault)
  })
}

test('answers become a cluster; addresses may carry a port', () => {
  const cluster = newClusterOf(
    {
      cluster: 'shop',
      postgres: '16',
      primary: '[::1]:5433',
      standby: 'db2:5434, db3, ::2',
      backupHost: '',
      repository: '',
      directory: '/srv',
    },
    '/schema.json',
  )
  assert.deepEqual(cluster, {
    cluster: 'shop',
    version: 16,
    primary: { host: '::1', port: 5433 },
    standbys: [{ host: 'db2', port: 5434 }, { host: 'db3' }, { host: '::2' }],
    backupHost: undefined,
    repository: undefined,
    directory: '/srv',
    schemaPath: '/schema.json',
  })
})
