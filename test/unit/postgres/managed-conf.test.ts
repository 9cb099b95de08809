import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { settingsOf } from '../../../src/postgres/conf-file.ts'
import {
  ensureManagedInclude,
  findAutoConfOverrides,
  formatManagedConf,
  removeManagedInclude,
} from '../../../src/postgres/managed-conf.ts'

const confText = fc
  .array(
    fc.constantFrom(
      '# c',
      '',
      'port = 1',
      "include_if_exists = 'backstay.conf'",
      "include './backstay.conf'",
      "include_dir 'conf.d'",
    ),
  )
  .map((lines) => lines.join('\n'))

suite('managed settings file', () => {
  test('is sorted, says that it is managed, and is read back', () => {
    const text = formatManagedConf({ wal_level: 'replica', Archive_Command: "x '%p'" })
    assert.match(text, /^# Managed by Backstay; do not edit/)
    assert.deepEqual(
      [...settingsOf(text)],
      [
        ['archive_command', "x '%p'"],
        ['wal_level', 'replica'],
      ],
    )
  })

  test('the same settings in another order give the same text', () => {
    assert.equal(formatManagedConf({ a: '1', b: '2' }), formatManagedConf({ b: '2', a: '1' }))
  })
})

suite('managed include line', () => {
  test('is added as the last line', () => {
    const text = ensureManagedInclude('port = 1')
    assert.match(text, /^port = 1\n# .*\ninclude_if_exists = 'backstay.conf'\n$/)
  })

  test('stays where it is when nothing active follows', () => {
    const text = "a = 1\ninclude_if_exists = 'backstay.conf'\n# the end\n\n"
    assert.equal(ensureManagedInclude(text), text)
  })

  test('moves behind a line that would win over it', () => {
    const moved = ensureManagedInclude(`${ensureManagedInclude('a = 1\n')}port = 9\n`)
    assert.equal(moved, ensureManagedInclude('a = 1\nport = 9\n'))
  })

  test('whatever the file holds, it ends up once and last; again changes nothing; removal takes it away', () => {
    fc.assert(
      fc.property(confText, (text) => {
        const once = ensureManagedInclude(text)
        const active = once.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
        assert.match(active.at(-1) ?? '', /backstay\.conf/)
        assert.equal(active.filter((line) => line.includes('backstay.conf')).length, 1)
        assert.equal(ensureManagedInclude(once), once)
        assert.ok(!removeManagedInclude(once).includes('backstay.conf'))
      }),
    )
  })
})

suite('ALTER SYSTEM', () => {
  test('overrides of our settings are found, equal and foreign ones are not', () => {
    const auto = settingsOf("wal_level = 'minimal'\nport = '5433'\nwork_mem = '1MB'\n")
    assert.deepEqual(findAutoConfOverrides({ Wal_Level: 'replica', port: '5433' }, auto), [
      { name: 'Wal_Level', managed: 'replica', effective: 'minimal' },
    ])
  })
})
