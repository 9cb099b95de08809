import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  appendConfLines,
  formatConfLine,
  removeConfSetting,
  setConfValue,
  settingsOf,
} from '../../../src/postgres/conf-file.ts'

suite('configuration file', () => {
  test('of a repeated setting the last line counts, names have no case', () => {
    const settings = settingsOf("port = 1\nPort = 2 # two\ndatestyle = 'iso'\n")
    assert.deepEqual(
      [...settings],
      [
        ['port', '2'],
        ['datestyle', 'iso'],
      ],
    )
  })

  test('includes are no settings', () => {
    const text = "include 'a'\nInclude_If_Exists = 'b'\ninclude_dir 'c'\nport = 1"
    assert.deepEqual([...settingsOf(text).keys()], ['port'])
  })

  test('a syntax error names file, line and column, never content', () => {
    assert.throws(
      () =>
        settingsOf('port = 1\nprimary_conninfo = host=a password=secret\n', 'postgresql.auto.conf'),
      (error) =>
        isBackstayError(error, 'POSTGRES_FILE_INVALID') &&
        error.message.includes('"postgresql.auto.conf": line 2') &&
        !error.message.includes('secret'),
    )
  })

  test('the last line that sets a name is edited in place, its comment stays', () => {
    const text = '# head\nport = 1\r\nPORT 2 # comment\nlast = on\n'
    assert.equal(
      setConfValue(text, 'port', 'a b'),
      "# head\nport = 1\r\nPORT 'a b' # comment\nlast = on\n",
    )
  })

  test('the same value again changes nothing, however it is written', () => {
    const text = "a = 'on' # x\n"
    assert.equal(setConfValue(text, 'a', 'on'), text)
  })

  test('a new setting goes to the end, with the line ends of the file', () => {
    assert.equal(setConfValue('a = 1\r\nb = 2', 'c', '3'), 'a = 1\r\nb = 2\r\nc = 3\r\n')
    assert.equal(setConfValue('', 'c', '3'), 'c = 3\n')
    assert.equal(appendConfLines('a = 1', ['x', 'y']), 'a = 1\nx\ny\n')
  })

  test('a commented-out line is not the setting', () => {
    assert.equal(setConfValue('#port = 1\n', 'port', '2'), '#port = 1\nport = 2\n')
  })

  test('removing takes all lines that set the name and no other', () => {
    assert.equal(removeConfSetting('a = 1\n# a\nA = 2\nab = 3\n', 'a'), '# a\nab = 3\n')
  })

  test('any setting can be set and read back, nothing else changes', () => {
    const name = fc.constantFrom('port', 'work_mem', 'my.setting')
    const text = fc
      .array(fc.constantFrom('# c', '', "port = '1' # x", 'Work_Mem 4MB', 'other = on'))
      .map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, name, fc.string({ unit: 'grapheme' }), (file, key, value) => {
        const before = settingsOf(file)
        const after = settingsOf(setConfValue(file, key, value))
        assert.equal(after.get(key), value)
        for (const [other, kept] of before) if (other !== key) assert.equal(after.get(other), kept)
      }),
    )
  })

  test('a line is written as name = value', () => {
    assert.equal(formatConfLine('restore_command', "cp 'a' %p"), "restore_command = 'cp ''a'' %p'")
  })
})
