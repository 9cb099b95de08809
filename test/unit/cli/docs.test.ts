/**
 * The generated pages in docs/ are those the code makes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generatedFiles } from '../../../scripts/docs.ts'

const ROOT = join(import.meta.dirname, '../../..')

for (const [path, content] of await generatedFiles()) {
  test(`${path} is current (npm run docs writes it)`, () => {
    assert.equal(readFileSync(join(ROOT, path), 'utf8'), content)
  })
}
