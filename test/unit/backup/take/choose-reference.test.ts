import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BackupDamage } from '../../../../src/backup/known-damage.ts'
import { chooseReference } from '../../../../src/backup/take/choose-reference.ts'
import type { BackedUpServer } from '../../../../src/backup/take/backed-up-server.ts'
import type { CataloguedBackup } from '../../../../src/repository/backup-info.ts'
import { backup, lsn, SEGMENT_BYTES } from '../fixtures.ts'

const SERVER: BackedUpServer = {
  systemIdentifier: '7',
  major: 18,
  versionNumber: 180_004,
  segmentBytes: SEGMENT_BYTES,
  timeline: 1,
  history: { timeline: 1, switches: [] },
  historyContent: undefined,
  flushLsn: lsn('0/70000100'),
  blockBytes: 8192,
  dataChecksums: true,
  summarizesWal: true,
}

/** Server on timeline 2, left timeline 1 at `at`. */
const switched = (at: string): BackedUpServer => ({
  ...SERVER,
  timeline: 2,
  history: { timeline: 2, switches: [{ timeline: 1, switchLsn: lsn(at), reason: '' }] },
})

function choose(backups: readonly CataloguedBackup[], server = SERVER, full = false) {
  return chooseReference(backups, server, { full })
}

function because(backups: readonly CataloguedBackup[], server = SERVER): string | null {
  const choice = choose(backups, server)
  assert.equal(choice.type, 'full')
  return choice.because
}

describe('chooseReference', () => {
  it('takes a full when there is no backup or the operator wants one, and gives no excuse', () => {
    assert.deepEqual(choose([]), { type: 'full', because: null })
    assert.deepEqual(choose([backup(1)], SERVER, true), { type: 'full', because: null })
  })

  it('builds on the newest backup of the same timeline', () => {
    const backups = [backup(1), backup(2)]
    const choice = choose(backups)
    assert.ok(choice.type === 'changed-pages')
    assert.equal(choice.reference, backups[0]?.info)
    assert.deepEqual(choice.methods, ['incremental', 'page-lsn'])
    assert.deepEqual(choice.wal, [
      { timeline: 1, startLsn: lsn('0/63000000'), endLsn: lsn('0/70000000') },
    ])
  })

  it('builds on no backup that is damaged or in doubt, but on one of which only WAL is damaged', () => {
    const backups = [backup(1), backup(2)]
    const ids = backups.map(({ info }) => info.id)
    const choosing = (damage: Partial<BackupDamage>) =>
      chooseReference(backups, SERVER, {
        full: false,
        damage: new Map([
          [ids[0] ?? '', { isProved: true, isOnlyWal: false, because: 'a pack', ...damage }],
        ]),
      })
    const damaged = choosing({})
    assert.ok(damaged.type === 'full')
    assert.equal(damaged.because, `backup ${ids[0]} is damaged: a pack`)
    const wal = choosing({ isOnlyWal: true })
    assert.ok(wal.type === 'changed-pages' && wal.reference.id === ids[0])
    const doubtful = choosing({ isProved: false })
    assert.ok(doubtful.type === 'full')
    assert.match(doubtful.because ?? '', new RegExp(`^backup ${ids[0]} may be damaged: a pack; `))
  })

  it('finds changed pages itself where the server does not summarize WAL', () => {
    const choice = choose([backup(1)], { ...SERVER, summarizesWal: false })
    assert.ok(choice.type === 'changed-pages')
    assert.deepEqual(choice.methods, ['page-lsn'])
  })

  it('does not trust the server over a timeline change', () => {
    const choice = choose([backup(1)], switched('0/68000000'))
    assert.ok(choice.type === 'changed-pages')
    assert.deepEqual(choice.methods, ['page-lsn'])
    assert.deepEqual(choice.wal, [
      { timeline: 1, startLsn: lsn('0/63000000'), endLsn: lsn('0/68000000') },
      { timeline: 2, startLsn: lsn('0/68000000'), endLsn: lsn('0/70000000') },
    ])
  })

  it('does not let the server choose on top of bad pages', () => {
    const badPages = { count: 1, list: [{ path: 'base/5/1', block: 0 }] }
    const choice = choose([backup(1, { badPages })])
    assert.ok(choice.type === 'changed-pages')
    assert.deepEqual(choice.methods, ['page-lsn'])
  })

  it('refuses a backup that ended after its timeline was left', () => {
    assert.match(
      because([backup(1)], switched('0/63000050')) ?? '',
      /after timeline 1 was left at 0\/63000050/,
    )
  })

  it('goes back to an older backup from before the fork', () => {
    const backups = [backup(1), backup(5)]
    const choice = choose(backups, switched('0/63000050'))
    assert.ok(choice.type === 'changed-pages')
    assert.equal(choice.reference, backups[1]?.info)
  })

  it('refuses a backup of a timeline that is no ancestor', () => {
    assert.match(because([backup(1, { timeline: 3 })]) ?? '', /is not in the history of timeline 1/)
  })

  it('refuses when the server is behind the backup: it was restored to an older state', () => {
    assert.match(
      because([backup(1)], { ...SERVER, flushLsn: lsn('0/63000050') }) ?? '',
      /restored to an older state/,
    )
  })

  it('refuses another system identifier and other page sizes', () => {
    assert.match(
      because([backup(1)], { ...SERVER, systemIdentifier: '8' }) ?? '',
      /system identifier 7/,
    )
    assert.match(because([backup(1)], { ...SERVER, blockBytes: 16_384 }) ?? '', /16384 bytes/)
  })
})
