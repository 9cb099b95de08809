import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import {
  claimCluster,
  listClusters,
  openCluster,
  type ServerIdentity,
} from '../../../src/repository/cluster-repository.ts'
import { sealJson } from '../../../src/repository/sealed-json.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'

const SERVER: ServerIdentity = {
  systemIdentifier: '7380123456789',
  major: 18,
  segmentBytes: 2 ** 24,
}
const clock = systemClock
const code = (wanted: ErrorCode) => (error: unknown) => isBackstayError(error, wanted)

describe('repository', () => {
  it('is not there before somebody makes it', async () => {
    await assert.rejects(openCluster(new MemoryStore(), 'shop', clock), code('REPOSITORY_MISSING'))
  })

  it('is made with its first cluster and opened again', async () => {
    const store = new MemoryStore()
    const made = await claimCluster({ store, name: 'shop', server: SERVER, clock })
    const again = await claimCluster({ store, name: 'shop', server: SERVER, clock })
    const opened = await openCluster(store, 'shop', clock)
    assert.deepEqual(again.identity, made.identity)
    assert.deepEqual(opened.identity, made.identity)
    assert.deepEqual(await listClusters(store), ['shop'])
  })

  it('gives concurrent claimers the same identity', async () => {
    const store = new MemoryStore()
    const claims = await Promise.all(
      [1, 2, 3].map(() => claimCluster({ store, name: 'shop', server: SERVER, clock })),
    )
    assert.equal(new Set(claims.map(({ identity }) => identity.createdAt)).size, 1)
  })

  it('refuses a server of another system identifier, major version or segment size', async () => {
    const store = new MemoryStore()
    await claimCluster({ store, name: 'shop', server: SERVER, clock })
    const claim = (changes: Partial<ServerIdentity>) =>
      claimCluster({ store, name: 'shop', server: { ...SERVER, ...changes }, clock })
    await assert.rejects(claim({ systemIdentifier: '1' }), code('POSTGRES_IDENTITY'))
    await assert.rejects(claim({ major: 17 }), code('POSTGRES_VERSION'))
    await assert.rejects(claim({ segmentBytes: 2 ** 20 }), code('POSTGRES_VERSION'))
  })

  it('names the clusters it holds when another one is asked for', async () => {
    const store = new MemoryStore()
    await claimCluster({ store, name: 'shop', server: SERVER, clock })
    await assert.rejects(openCluster(store, 'shpo', clock), /it holds "shop"/)
  })

  it('refuses a format it does not know', async () => {
    const store = new MemoryStore()
    await store.put('repository.json', sealJson({ format: 2, id: 'x' }))
    await assert.rejects(openCluster(store, 'shop', clock), code('REPOSITORY_FORMAT'))
  })

  it('refuses names that could leave its folder', async () => {
    const store = new MemoryStore()
    for (const name of ['', '..', 'a/b', '.hidden', 'x'.repeat(64)]) {
      await assert.rejects(claimCluster({ store, name, server: SERVER, clock }), code('USAGE'))
    }
  })
})
