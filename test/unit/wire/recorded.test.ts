/**
 * Plays what live servers said (test/fixtures/wire) to the real connection over loopback: every byte the client sends and
 * everything it understands must be as recorded, however the stream is cut.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readRecording, recordedMajors } from '../../fixtures/wire/recording.ts'
import { startReplay } from '../../fixtures/wire/replay-server.ts'
import { runScenario } from '../../fixtures/wire/scenario.ts'

for (const major of recordedMajors) {
  describe(`recorded PostgreSQL ${major}`, () => {
    const recording = readRecording(major)

    for (const chunkBytes of [1_000_000, 4096, 509, 61]) {
      it(`is understood in pieces of ${chunkBytes} bytes`, { timeout: 30_000 }, async () => {
        await using server = await startReplay(recording.turns, chunkBytes)
        const options = {
          host: '127.0.0.1',
          port: server.port,
          user: 'golden',
          sslmode: 'disable',
        } as const
        const understood = await runScenario(options, async () => Promise.resolve())
        await server.finished
        assert.deepEqual(understood, recording.understood)
      })
    }

    it('holds what a base backup needs', () => {
      const backup = recording.understood.find((line) => line.startsWith('base backup: '))
      const { start, end, entries, manifest } = JSON.parse(
        backup?.slice('base backup: '.length) ?? '{}',
      ) as { start: { tablespaces: unknown[] }; end: unknown; entries: string[]; manifest: string }
      assert.equal(start.tablespaces.length, 2)
      assert.ok(end !== undefined)
      assert.ok(entries.some((entry) => entry.startsWith('directory 16384 PG_')))
      assert.ok(entries.some((entry) => entry.includes('backup_label')))
      assert.ok(entries.some((entry) => entry.includes('global/pg_control 8192 600')))
      assert.equal(manifest.startsWith('{ "PostgreSQL-Backup-Manifest-Version"'), major >= 13)
    })

    it('lets no client in that says something else', async () => {
      await using server = await startReplay(recording.turns, 4096)
      const options = {
        host: '127.0.0.1',
        port: server.port,
        user: 'other',
        sslmode: 'disable',
      } as const
      await assert.rejects(runScenario(options, async () => Promise.resolve()))
      await assert.rejects(server.finished, /at byte 0 the client said/)
    })
  })
}
