/** History files that came while no primary answered, and what becomes of them once one does. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { formatHistoryName } from '../../../src/postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory } from '../../../src/postgres/timeline.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import {
  contradicted,
  historyRefusal,
  nameRefusal,
  type PushGround,
} from '../../../src/service/push-policy.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { listContested } from '../../../src/wal/contested.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { judgeProvisional, provisionalOf } from '../../../src/wal/provisional-histories.ts'
import { pushByKey } from '../../../src/wal/push-by-key.ts'
import { isProvisional, pushedBy } from '../../../src/wal/pushed-mark.ts'
import { parseLsn, type Lsn } from '../../../src/postgres/lsn.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const PRIMARY = { server: 'db1', timeline: 9, flushLsn: parseLsn('1/0') as Lsn }

async function open(): Promise<ClusterRepository> {
  return await claimCluster({
    store: new MemoryStore(),
    name: 'shop',
    server: { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES },
    clock: systemClock,
  })
}

async function groundOf(
  repository: ClusterRepository,
  primary: PushGround['primary'],
): Promise<PushGround> {
  const map = await loadContinuity(repository)
  return { map, primary, provisional: await provisionalOf(repository, map) }
}

/** As the gate does; returns why it was refused. */
async function push(
  repository: ClusterRepository,
  timeline: number,
  text: string,
  primary?: PushGround['primary'],
): Promise<string | undefined> {
  const name = formatHistoryName(timeline)
  const content = Buffer.from(text)
  const ground = await groundOf(repository, primary)
  const refusal =
    nameRefusal(name, { kind: 'history', timeline }, ground) ??
    historyRefusal(timeline, content, ground)
  if (refusal !== undefined) return refusal
  const by = { server: primary?.server ?? 'db2', isAsked: primary !== undefined }
  await pushByKey(repository, { name, content }, by)
  if (primary === undefined) return undefined
  const history = parseTimelineHistory(timeline, text) as TimelineHistory
  await judgeProvisional(repository, contradicted(history, ground), primary.server)
  return undefined
}

const held = async ({ wal }: ClusterRepository, timeline: number): Promise<string | undefined> =>
  (await wal.getHistory(timeline))?.toString()

describe('history files while no primary answers', () => {
  it('do not raise the bound that the next ones are judged by', async () => {
    const repository = await open()
    await repository.wal.putHistory(2, Buffer.from('1\t0/3000000\tx\n'))
    let refusal: string | undefined
    let newest = 2
    for (let timeline = 50; refusal === undefined && timeline < 1000; timeline += 50) {
      refusal = await push(repository, timeline, '1\t0/3000000\tx\n')
      if (refusal === undefined) newest = timeline
    }
    assert.equal(newest, 50)
    assert.match(String(refusal), /far beyond the newest that is known, 2/)
  })

  it('make room for the primary’s when it answers, and are told of', async () => {
    const repository = await open()
    const [forged, own] = ['1\t0/3000000\tforged\n', '1\t0/4000000\town\n']
    assert.equal(await push(repository, 2, forged), undefined)
    assert.equal(await isProvisional(repository, '00000002.history'), true)
    assert.equal(await push(repository, 2, own, PRIMARY), undefined)
    assert.equal(await held(repository, 2), own)
    assert.equal(await isProvisional(repository, '00000002.history'), false)
    assert.equal(await pushedBy(repository, '00000002.history'), 'db1')
    const [contested, ...more] = await listContested(repository)
    assert.deepEqual([contested?.name, contested?.server, more], ['00000002.history', 'db2', []])
    // What an asked primary has said stays: the next one has to fit.
    await assert.rejects(push(repository, 2, forged, PRIMARY), (error) =>
      isBackstayError(error, 'WAL_CONFLICT'),
    )
  })

  it('do not keep a newer history of the primary out that tells their timeline otherwise', async () => {
    const repository = await open()
    assert.equal(await push(repository, 2, '1\t0/3000000\tforged\n'), undefined)
    assert.equal(await push(repository, 3, '1\t0/3000000\tforged\n2\t0/3500000\tx\n'), undefined)
    const own = '1\t0/4000000\town\n2\t0/5000000\town\n3\t0/6000000\town\n'
    assert.equal(await push(repository, 4, own, PRIMARY), undefined)
    assert.equal(await held(repository, 4), own)
    assert.equal(await held(repository, 2), undefined)
    assert.equal(await held(repository, 3), undefined)
    const names = (await listContested(repository)).map(({ name }) => name)
    assert.deepEqual(names, ['00000002.history', '00000003.history'])
  })

  it('are confirmed by a history of the primary that tells the same', async () => {
    const repository = await open()
    const own = '1\t0/4000000\town\n'
    assert.equal(await push(repository, 2, own), undefined)
    assert.equal(await push(repository, 3, `${own}2\t0/5000000\town\n`, PRIMARY), undefined)
    assert.equal(await held(repository, 2), own)
    assert.equal(await isProvisional(repository, '00000002.history'), false)
    assert.deepEqual(await listContested(repository), [])
    assert.equal(await push(repository, 2, own, PRIMARY), undefined)
  })
})
