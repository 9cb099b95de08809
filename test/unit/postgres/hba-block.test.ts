import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { readHbaBlock, removeHbaBlock, setHbaBlock } from '../../../src/postgres/hba-block.ts'

const MAJOR = 18
const RULES = ['host replication repl 10.0.0.0/8 scram-sha-256', 'host all all 10.0.0.0/8 md5']

const DEFAULT = [
  '# PostgreSQL Client Authentication Configuration File',
  '',
  '# TYPE  DATABASE  USER  ADDRESS  METHOD',
  '',
  '# "local" is for Unix domain socket connections only',
  'local   all  all  trust',
  '# IPv4 local connections:',
  'host    all  all  127.0.0.1/32  trust',
  '',
].join('\n')

const anyFile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '# c',
        '',
        'local all all trust',
        'host all all all md5 # x',
        'include x',
        '\tx',
      ),
      fc.constant('host all \\\n all all md5'),
      fc.stringMatching(/^[ -~]*$/).filter((text) => !/^# (BEGIN|END)|\\$/.test(text)),
    ),
  )
  .chain((lines) => fc.constantFrom('\n', '\r\n').map((end) => lines.join(end)))

suite('block in pg_hba.conf', () => {
  test('goes before the first rule and the comment that belongs to it', () => {
    const text = setHbaBlock(DEFAULT, RULES, MAJOR)
    const lines = text.split('\n')
    assert.match(lines[4] ?? '', /^# BEGIN backstay/)
    assert.deepEqual(lines.slice(5, 7), RULES)
    assert.equal(lines[7], '# END backstay')
    assert.equal(lines[8], '# "local" is for Unix domain socket connections only')
  })

  test('goes before an include line too: its rules could match first', () => {
    assert.match(setHbaBlock('include x\nlocal all all trust\n', RULES, 16), /^# BEGIN/)
  })

  test('goes to the end of a file without rules', () => {
    const text = setHbaBlock('# nothing', RULES, MAJOR)
    assert.match(text, /^# nothing\n# BEGIN backstay[^]*# END backstay\n$/)
  })

  test('is replaced where it stands, even if the operator moved it', () => {
    const moved = `local all all trust\n${setHbaBlock('', RULES, MAJOR)}host all all all md5\n`
    assert.equal(
      setHbaBlock(moved, ['local all all peer'], MAJOR),
      `local all all trust\n${setHbaBlock('', ['local all all peer'], MAJOR)}host all all all md5\n`,
    )
  })

  test('whatever the file is: rules are read back, again changes nothing, removal restores it', () => {
    fc.assert(
      fc.property(anyFile, (file) => {
        const once = setHbaBlock(file, RULES, MAJOR)
        assert.deepEqual(readHbaBlock(once, MAJOR), RULES)
        assert.equal(setHbaBlock(once, RULES, MAJOR), once)
        const removed = removeHbaBlock(once, MAJOR)
        // A last line without end gets one when the block is put behind it.
        assert.ok(removed === file || removed.replace(/\r?\n$/, '') === file)
      }),
    )
  })

  test('without a block there is nothing to read or remove', () => {
    assert.equal(readHbaBlock(DEFAULT, MAJOR), undefined)
    assert.equal(removeHbaBlock(DEFAULT, MAJOR), DEFAULT)
  })

  test('line ends of Windows are kept', () => {
    assert.ok(!/[^\r]\n/.test(setHbaBlock('local all all trust\r\n', RULES, MAJOR)))
  })

  for (const [what, text, line] of [
    ['BEGIN without END', 'local all all trust\n# BEGIN backstay\n', 2],
    ['END without BEGIN', '# END backstay\n', 1],
    ['BEGIN twice', '# BEGIN backstay\n# BEGIN backstay\n# END backstay\n', 1],
    ['two blocks', '# BEGIN backstay\n# END backstay\n# BEGIN backstay\n# END backstay\n', 3],
  ] as const) {
    test(`${what} is an error that names line ${line}`, () => {
      for (const edit of [
        () => setHbaBlock(text, RULES, MAJOR),
        () => removeHbaBlock(text, MAJOR),
        () => readHbaBlock(text, MAJOR),
      ]) {
        assert.throws(
          edit,
          (error) =>
            isBackstayError(error, 'POSTGRES_FILE_INVALID') &&
            error.message.endsWith(`in line ${line}`),
        )
      }
    })
  }
})
