import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackstayError } from '../../../../src/errors/backstay-error.ts'
import { believedPaths, notesOnPaths } from '../../../../src/build/adopt/believed-paths.ts'

const nobody = (): boolean => false

function settings(own: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const directory = own['data_directory'] ?? '/var/lib/postgresql/15/main'
  return new Map(Object.entries({ data_directory: directory, ...own }))
}

test('configuration in the data directory, or where Debian keeps it, is taken over in silence', () => {
  const inside = { config_file: '/var/lib/postgresql/15/main/postgresql.conf' }
  assert.deepEqual(believedPaths('db1', settings(inside), nobody), {
    directory: '/var/lib/postgresql/15/main',
    socketDirectory: undefined,
  })
  assert.deepEqual(notesOnPaths('db1', settings(inside)), [])
  const debian = {
    config_file: '/etc/postgresql/15/main/postgresql.conf',
    hba_file: '/etc/postgresql/15/main/pg_hba.conf',
  }
  assert.deepEqual(believedPaths('db1', settings(debian), nobody), {
    directory: '/var/lib/postgresql/15/main',
    configFile: debian.config_file,
    hbaFile: debian.hba_file,
    socketDirectory: undefined,
  })
  assert.deepEqual(notesOnPaths('db1', settings(debian)), [])
})

test('another place that a server names is asked for, not written to', () => {
  for (const path of ['/etc/sudoers', '/etc/postgresql/../sudoers', '/root/.ssh/authorized_keys']) {
    const { configFile, hbaFile } = believedPaths('db1', settings({ hba_file: path }), nobody)
    const notes = notesOnPaths('db1', settings({ hba_file: path }))
    assert.deepEqual([configFile, hbaFile, notes.length], [undefined, undefined, 1])
    assert.match(notes[0] ?? '', /write servers\.db1\.hbaFile into the cluster file/)
  }
})

test('a directory for sockets is believed where distributions have it, and otherwise asked for', () => {
  const of = (sockets: string): [string | undefined, string[]] => {
    const all = settings({ unix_socket_directories: sockets })
    return [believedPaths('db1', all, nobody).socketDirectory, notesOnPaths('db1', all)]
  }
  for (const path of ['/run/postgresql', '/var/run/postgresql', '/tmp']) {
    assert.deepEqual(of(path), [path, []])
  }
  assert.deepEqual(of('/run/postgresql, /tmp'), ['/run/postgresql', []])
  const [directory, [note]] = of('/srv/pair, /tmp')
  assert.equal(directory, '/tmp')
  assert.match(note ?? '', /its socket is in "\/srv\/pair"/)
  assert.deepEqual(of(''), [undefined, []])
  for (const path of ['/etc/systemd/system/ssh.service.d', '/tmp/../etc/x', '/tmp/', '@x', 'x']) {
    const [directory, notes] = of(path)
    assert.deepEqual([directory, notes.length], [undefined, 1], path)
    assert.match(notes[0] ?? '', /write servers\.db1\.socketDirectory into the cluster file/)
  }
})

test('a data directory that nobody but the server names is refused, with the word that vouches for it', () => {
  const of = (directory: string) => settings({ data_directory: directory })
  for (const path of [
    '',
    '/',
    'relative',
    '/etc/cron.d',
    '/opt/backstay',
    '/srv/pg',
    '/var/lib/postgresql/../x',
  ]) {
    assert.throws(() => believedPaths('db1', of(path), nobody), { code: 'DIRECTORY_FOREIGN' }, path)
  }
  assert.throws(
    () => believedPaths('db1', of('/srv/pg'), nobody),
    (error: BackstayError) => /say so: --data-directory \/srv\/pg\./.test(error.hint ?? ''),
  )
  for (const path of ['/var/lib/postgresql/15/main', '/var/lib/pgsql/15/data']) {
    assert.equal(believedPaths('db1', of(path), nobody).directory, path)
  }
  assert.equal(believedPaths('db1', of('/srv/pg'), () => true).directory, '/srv/pg')
  assert.throws(() => believedPaths('db1', of('/srv/../etc'), () => true))
})
