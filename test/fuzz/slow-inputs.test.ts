/** Inputs that took minutes, or were called a bug: each of them short enough to come from a server, a file or a message. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeVerifier } from '../../src/cluster/state/verifier.ts'
import { readIni } from '../../src/config/barman/ini.ts'
import { readCluster } from '../../src/config/read.ts'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { redact } from '../../src/errors/redact.ts'
import { BackupManifestReader } from '../harness/backup-manifest-reader.ts'
import { parseQuorum } from '../../src/failover/quorum.ts'
import { scanConf } from '../../src/postgres/conf-scanner.ts'
import { scanHba } from '../../src/postgres/hba-scanner.ts'
import { lookupPassword } from '../../src/postgres/passfile.ts'
import { parseSettingNumber } from '../../src/postgres/setting-value.ts'
import { parseTimelineHistory } from '../../src/postgres/timeline.ts'
import { parseSize } from '../../src/util/size.ts'
import { sqlError } from '../../src/wire/sql-error.ts'
import { MACHINE } from '../unit/config/machine.ts'

/** On a busy machine, too; each took at least a minute. */
const SOON_MS = 20_000
const COUNT = 80_000

const yaml = (text: string) => () =>
  readCluster(text, { file: 'backstay.yaml', directory: '/', machine: MACHINE })
const keys = Array.from({ length: 15_000 }, (_, index) => `key${index}: 1`)
const servers = keys.map((_, index) => `  d${index}: { host: a, port: ${index} }`)
const key = { host: 'a', port: 1, database: 'd', user: 'u' }
const bomb = ['a: &a [x,x,x,x,x,x,x,x]', 'b: &b [*a,*a,*a,*a,*a,*a,*a,*a]']
const credential = { role: 'x', password: 'y' }

const BLANKS = `${' '.repeat(4 * COUNT)}x`
const NUMBER = { vartype: 'integer', unit: 'ms' } as const
function messageOf(message: string): Error {
  return Object.assign(new Error(message), { severity: 'FATAL', code: '28000', hint: message })
}

const INPUTS: readonly [string, () => unknown][] = [
  ['a line of escaped quotes in postgresql.conf', () => scanConf(String.raw`\'`.repeat(COUNT))],
  ['carriage returns in a password file', () => lookupPassword(`${'\r'.repeat(2 * COUNT)}x`, key)],
  [
    'blanks in a history file',
    () => parseTimelineHistory(3, `1 1/1 ${' '.repeat(2 * COUNT)}x\r\n`),
  ],
  ['addresses in a text that is redacted', () => redact('a://x:'.repeat(COUNT))],
  ['backslashes in a quoted secret without an end', () => redact(`password=''${'\\'.repeat(60)}`)],
  ['escapes in one', () => redact(`password=''${String.raw`\a\''`.repeat(COUNT)}'`)],
  ['blanks in a message of a server', () => sqlError('Cannot ask', messageOf(BLANKS))],
  ['blanks in what a server says of itself', () => [parseQuorum(BLANKS), parseSize(`1${BLANKS}`)]],
  ['a number without an end', () => parseSettingNumber('1'.repeat(COUNT) + BLANKS, NUMBER)],
  ['carriage returns in pg_hba.conf', () => scanHba(`${'\r'.repeat(4 * COUNT)}x\n`, 18)],
  ['blanks in a file of Barman', () => readIni(`[a]\nx${BLANKS}`, 'barman.conf', new Map())],
  ['unknown keys in a cluster file', yaml(keys.join('\n'))],
  ['servers that are all wrong', yaml(['cluster: x', 'servers:', ...servers].join('\n'))],
  ['aliases of aliases', yaml([...bomb, 'c: [*b,*b,*b,*b,*b,*b,*b,*b]'].join('\n'))],
  [
    'keys within keys in one line of a cluster file',
    yaml(`backup: { host: ${'t: '.repeat(COUNT)}`),
  ],
  ['closing braces of a cluster file that close nothing', yaml('x: 50 } }c'.repeat(COUNT / 4))],
  [
    'a verifier of two thousand million rounds',
    () => judgeVerifier('SCRAM-SHA-256$2000000000:AAAA$AAAA:AAAA', credential),
  ],
  [
    'braces in a backup_manifest',
    () => [...new BackupManifestReader().push(Buffer.from(`{"Files":[{${'}'.repeat(2 * COUNT)}`))],
  ],
]

for (const [what, read] of INPUTS) {
  test(`soon done with ${what}, and at most an error of the catalogue`, () => {
    const startedAtMs = performance.now()
    try {
      read()
    } catch (error) {
      assert.ok(isBackstayError(error) && error.code !== 'BUG', String(error))
    }
    assert.ok(performance.now() - startedAtMs < SOON_MS)
  })
}

test('the right password is found whatever stands in other lines, and no secret of an address is printed', () => {
  assert.equal(lookupPassword(`x\r\r\na:1:d:u:secret\r\n`, key), 'secret')
  const text = redact('see postgres://u:one@h/a, "https://v:two@w@h" and ftp://h')
  assert.equal(text, 'see postgres://u:***@h/a, "https://v:***@h" and ftp://h')
  const lines = redact('postgres://u:one@h\npostgres://u:two@h postgres://none/@x')
  assert.ok(!/:one|:two/.test(lines), lines)
})
