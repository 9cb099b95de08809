/**
 * Barman's command line: which words an option may be given, and what no words mean.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommandLine } from '../../../src/barman/command-line/parse.ts'

const RESTORE = ['restore', 'pg', 'latest', '/d']

function kindOf(words: readonly string[]): string {
  return parseCommandLine(words, 'version').kind
}

test('words that an option cannot have are usage errors before anything is done', () => {
  const wrong = [
    ['backup', 'pg', '--bwlimit', 'x'],
    ['backup', 'pg', '--bwlimit', '-1'],
    ['backup', 'pg', '--jobs', '0'],
    ['backup', 'pg', '-j', 'x'],
    ['backup', 'pg', '--jobs', '-1'],
    ['backup', 'pg', '--wait-timeout', 'x'],
    ['backup', 'pg', '--reuse-backup=nonsense'],
    ['backup', 'pg', '--name', ''],
    ['backup', 'pg', '--name', 'latest'],
    ['backup', 'pg', '--name', '20261129T054314'],
    ['backup', 'pg', '--check-timeout', 'soon'],
    ['backup', 'pg', '--keepalive-interval', '1.5'],
    ['backup', 'pg', '--retry-times', 'often'],
    ['check', 'pg', '--check-timeout', '-3'],
    ['check-wal-archive', 'pg', '--timeline', '0'],
    ['get-wal', 'pg', '000000010000000000000001', '--peek', '0'],
    ['switch-wal', 'pg', '--archive', '--archive-timeout', 'x'],
    [...RESTORE, '--target-tli', 'newest'],
    [...RESTORE, '--target-tli', '0'],
    [...RESTORE, '--target-immediate', '--target-action', 'explode'],
    [...RESTORE, '--staging-location', 'moon'],
    [...RESTORE, '--combine-mode', 'move'],
    [...RESTORE, '--recovery-option-port', '70000'],
    [...RESTORE, '--jobs', '1e3'],
  ]
  for (const words of wrong) assert.equal(kindOf(words), 'usage', words.join(' '))
})

test('words that fit arrive as numbers and text', () => {
  const parsed = parseCommandLine(
    ['backup', 'pg', '--bwlimit', '0', '-j', '2', '--name', 'weekly', '--reuse-backup=link'],
    'version',
  )
  assert.ok(parsed.kind === 'run')
  assert.partialDeepStrictEqual(parsed.options, {
    bwlimit: 0,
    jobs: 2,
    name: 'weekly',
    reuseBackup: 'link',
  })
  assert.equal(kindOf([...RESTORE, '--target-tli', 'current', '--exclusive']), 'run')
})

test('without a command the help is printed, whatever global options stand there', () => {
  for (const words of [[], ['-q'], ['-c', '/etc/barman.conf'], ['help']]) {
    const said = parseCommandLine(words, 'version')
    assert.ok(said.kind === 'help', words.join(' '))
    assert.match(said.text, /^Usage: barman .*\n[\s\S]*list-backups/)
  }
})
