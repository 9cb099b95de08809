/** Text of others on a terminal: everything that is not seen, or is obeyed, is spelled out, by one function for all ways out. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { renderJson } from '../../../src/cli/output/json.ts'
import { printable, printableWord } from '../../../src/errors/printable.ts'

const LOG = join(import.meta.dirname, '../../../src/service/log.ts')

/** By name, what was let through once. */
const UNSEEN: readonly (readonly [string, number, number])[] = [
  ['C0 controls', 0x0, 0x8],
  ['escape', 0x1b, 0x1b],
  ['DEL and C1 controls', 0x7f, 0x9f],
  ['soft hyphen', 0xad, 0xad],
  ['combining grapheme joiner', 0x34f, 0x34f],
  ['Arabic letter mark', 0x61c, 0x61c],
  ['Hangul fillers', 0x115f, 0x1160],
  ['Mongolian variation selectors', 0x180b, 0x180f],
  ['zero-width characters and marks of direction', 0x200b, 0x200f],
  ['separators and turns of direction', 0x2028, 0x202e],
  ['word joiner, invisible operators, isolates', 0x2060, 0x206f],
  ['Hangul filler', 0x3164, 0x3164],
  ['unpaired surrogates', 0xd800, 0xdfff],
  ['private use', 0xe000, 0xe0ff],
  ['variation selectors', 0xfe00, 0xfe0f],
  ['byte order mark', 0xfeff, 0xfeff],
  ['halfwidth Hangul filler', 0xffa0, 0xffa0],
  ['interlinear annotations and specials', 0xfff0, 0xfffb],
  ['musical formats', 0x1d173, 0x1d17a],
  ['tags', 0xe0000, 0xe007f],
  ['more variation selectors', 0xe0100, 0xe01ef],
  ['noncharacters', 0x10fffe, 0x10ffff],
]

const HARMLESS = /^[\t\n]$/

describe('printable', () => {
  for (const [what, first, last] of UNSEEN) {
    it(`spells out: ${what}`, () => {
      for (let code = first; code <= last; code += 1) {
        const text = `a${String.fromCodePoint(code)}b`
        assert.match(printable(text), /^a\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]{5,6}\})b$/)
        assert.equal(printableWord(text), printable(text))
      }
    })
  }

  it('leaves nothing unseen in any text, and what is seen as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const seen = printable(text)
        for (const one of seen) {
          const isSeen = !/[\p{C}\p{DI}\p{Zl}\p{Zp}]/u.test(one)
          assert.ok(isSeen || HARMLESS.test(one), JSON.stringify(seen))
        }
        assert.equal(printable(seen), seen)
      }),
    )
    for (const text of ['перед миграцией', '日本語 ñ é é', '✔ ok → db1', 'a\tb\n']) {
      assert.equal(printable(text), text)
    }
    assert.equal(printableWord('a\tb\n'), String.raw`a\x09b\x0a`)
  })

  it('is what JSON needs not: its strings stay exact, and the terminal obeys nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, isTerminal) => {
        const json = renderJson({ name: text }, isTerminal)
        assert.deepEqual(JSON.parse(json), { name: text })
        assert.doesNotMatch(json.replaceAll('\n', ''), /[\p{C}\p{DI}\p{Zl}\p{Zp}]/u)
      }),
    )
  })

  it('is what the log of the service goes through', () => {
    const text = 'a\u009b2Jb\u202ec\u{e0041}d'
    const program = `
      import { openServiceLog } from ${JSON.stringify(LOG)}
      openServiceLog().info({ server: ${JSON.stringify(text)} }, ${JSON.stringify(text)})`
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    })
    const line = JSON.parse(stderr) as { server: string; msg: string }
    const spelled = String.raw`a\x9b2Jb\u202ec\u{e0041}d`
    assert.deepEqual([line.server, line.msg], [spelled, spelled])
  })
})
