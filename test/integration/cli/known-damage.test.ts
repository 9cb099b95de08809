/**
 * What is damaged in the repository is told by every command that looks, and not only by the one that found it.
 */
import assert from 'node:assert/strict'
import { readdir, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { placeOneServer } from './one-server.ts'
import { backstay } from './programs.ts'

interface Told {
  readonly backups: readonly {
    readonly id: string
    readonly damage: { readonly proved: boolean } | null
  }[]
  readonly backup: { readonly damage: readonly string[]; readonly problems: readonly string[] }
}

test('backups, show, status and check name what is damaged', async () => {
  await using directory = temporaryDirectory()
  await using pg = await startPostgres({ major: 18, settings: { wal_keep_size: '1GB' } })
  const repository = await placeOneServer(pg, directory.path)
  const options = { cwd: directory.path }
  const told = async (...words: string[]): Promise<Told> =>
    JSON.parse((await backstay([...words, '--json'], options)).stdout) as Told
  for (const words of [['backup'], ['backup', '--full']]) {
    const { code, stderr } = await backstay(words, options)
    assert.equal(code, 0, stderr)
  }
  const [newest, oldest] = (await told('backups')).backups
  assert.ok(newest !== undefined && oldest !== undefined)
  assert.deepEqual([newest.damage, oldest.damage], [null, null])
  assert.deepEqual((await told('status')).backup.damage, [])

  const packs = join(repository, 'test/packs')
  const pack = (await readdir(packs)).find((name) => name.startsWith(newest.id)) ?? ''
  await rename(join(packs, pack), join(directory.path, pack))
  const said = `backup ${newest.id} is damaged: "test/packs/${pack}" is missing`
  const list = await backstay(['backups'], options)
  assert.equal(list.code, 13, list.stderr)
  assert.ok(list.stdout.includes(`${said.replace('b', 'B')}.\n`), list.stdout)
  assert.deepEqual(
    (await told('backups')).backups.map(({ damage }) => damage?.proved),
    [true, undefined],
  )
  assert.match((await backstay(['show', newest.id], options)).stdout, /^Damaged +"test\/packs\//m)

  await rename(join(directory.path, pack), join(packs, pack))
  assert.equal((await backstay(['backups'], options)).code, 0)
  const manifest = join(repository, `test/backups/${oldest.id}/manifest.zst`)
  await truncate(manifest, 100)
  assert.equal((await backstay(['verify-backup'], options)).code, 13)
  const { problems, damage } = (await told('status')).backup
  assert.equal(damage.length, 1)
  assert.match(damage[0] ?? '', new RegExp(`^backup ${oldest.id} is damaged: .*manifest`))
  assert.equal(problems.filter((problem) => problem === damage[0]).length, 1)
  await writeFile(join(repository, 'test/wal/00000002.history.zst'), 'XXXX', { mode: 0o600 })
  const history = (await told('status')).backup.damage.at(-1)
  assert.match(history ?? '', /^"test\/wal\/00000002\.history\.zst" is damaged, and stops every/)
  const check = await backstay(['check'], options)
  assert.equal(check.code, 3)
  assert.ok(check.stdout.includes(damage[0] ?? ''), check.stdout)
  const nagios = await backstay(['check', '--nagios'], options)
  assert.match(nagios.stdout, /'vault_damagedInRepository'=2(?: |$)/m)
})
