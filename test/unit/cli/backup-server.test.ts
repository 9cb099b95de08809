/**
 * Words of a command line that travel to the backup server.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wordsForThere } from '../../../src/cli/session/backup-server.ts'

test('what means something on this machine only stays here', () => {
  const words = ['--config', 'here.yaml', 'backup', '-c', 'x', '--config=y', '--full']
  assert.deepEqual(wordsForThere(words), ['backup', '--full'])
  assert.deepEqual(wordsForThere(['--accept-new-host-keys', 'wal', 'gaps', '--json']), [
    'wal',
    'gaps',
    '--json',
  ])
  assert.deepEqual(wordsForThere(['backups', '-cmy.yaml']), ['backups'])
})
