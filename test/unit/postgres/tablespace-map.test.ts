import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { formatTablespaceMap, parseTablespaceMap } from '../../../src/postgres/tablespace-map.ts'

suite('tablespace_map', () => {
  test('is read and written as PostgreSQL writes it', () => {
    const text = '16384 /srv/fast disk\n16385 /srv/slow\n'
    const links = [
      { oid: 16384, location: '/srv/fast disk' },
      { oid: 16385, location: '/srv/slow' },
    ]
    assert.deepEqual(parseTablespaceMap(text), links)
    assert.equal(formatTablespaceMap(links), text)
  })

  test('any path survives, on majors that escape backslashes', () => {
    const location = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => `/${text}`)
    fc.assert(
      fc.property(
        fc.array(fc.record({ oid: fc.nat(), location }, { noNullPrototype: true })),
        (links) => {
          assert.deepEqual(parseTablespaceMap(formatTablespaceMap(links, 18), 18), links)
        },
      ),
    )
  })

  test('up to 13 a backslash stands for itself', () => {
    const links = [
      { oid: 1, location: String.raw`/a \ b` },
      { oid: 2, location: '/two\nlines' },
    ]
    const text = '1 /a \\ b\n2 /two\\\nlines\n'
    assert.equal(formatTablespaceMap(links, 13), text)
    assert.deepEqual(parseTablespaceMap(text, 13), links)
  })

  test('a line of another form makes it unreadable', () => {
    assert.throws(
      () => parseTablespaceMap('16384 /a\n/b\n'),
      (error) =>
        isBackstayError(error, 'POSTGRES_FILE_INVALID') && error.message.includes('line 2'),
    )
  })
})
