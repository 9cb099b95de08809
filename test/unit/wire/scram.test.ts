import assert from 'node:assert/strict'
import { createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  checkServerFinal,
  MAX_ITERATIONS,
  SCRAM,
  SCRAM_PLUS,
  scramFinal,
  scramFirst,
  type ScramStart,
} from '../../../src/wire/scram.ts'
import { readRecording, recordedMajors } from '../../fixtures/wire/recording.ts'

const START: ScramStart = {
  mechanism: SCRAM,
  nonce: 'rOprNGfwEbeRWgbNEkqO',
  binding: undefined,
  couldBind: false,
}
const SALT = Buffer.from('salt of the server')
const CHALLENGE = `r=${START.nonce}more,s=${SALT.toString('base64')},i=4096`

describe('SCRAM', () => {
  for (const major of recordedMajors) {
    it(`proves the password to PostgreSQL ${major} and takes its proof`, async () => {
      const { nonce, password, serverFirst, clientFinal, serverFinal } = readRecording(major).scram
      const final = await scramFinal({ ...START, nonce }, serverFirst, password)
      assert.equal(final.message, clientFinal)
      checkServerFinal(serverFinal, final.serverSignature)
    })

    it(`does not take the proof of PostgreSQL ${major} for another password`, async () => {
      const { nonce, serverFirst, serverFinal } = readRecording(major).scram
      const final = await scramFinal({ ...START, nonce }, serverFirst, 'another password')
      assert.throws(() => checkServerFinal(serverFinal, final.serverSignature), {
        code: 'POSTGRES_AUTH',
      })
    })
  }

  it('says whether the channel is bound, could be, or cannot be', () => {
    const first = (start: Partial<ScramStart>): string => scramFirst({ ...START, ...start })
    assert.equal(first({}), `n,,n=,r=${START.nonce}`)
    assert.equal(first({ couldBind: true }), `y,,n=,r=${START.nonce}`)
    assert.equal(
      first({ mechanism: SCRAM_PLUS, couldBind: true }),
      `p=tls-server-end-point,,n=,r=${START.nonce}`,
    )
  })

  it('binds the channel by header and certificate digest', async () => {
    const binding = Buffer.from('digest')
    const start = { ...START, mechanism: SCRAM_PLUS, binding, couldBind: true } as const
    const { message } = await scramFinal(start, CHALLENGE, 'x')
    const channel = Buffer.from(/^c=([^,]+)/.exec(message)?.[1] ?? '', 'base64').toString()
    assert.equal(channel, 'p=tls-server-end-point,,digest')
  })

  it('enters the password normalised', async () => {
    const [plain, fancy] = await Promise.all([
      scramFinal(START, CHALLENGE, 'IX'),
      scramFinal(START, CHALLENGE, 'I\u00ADⅩ'.replace('Ⅹ', 'X')),
    ])
    assert.equal(plain.message, fancy.message)
  })

  it('computes the server signature of RFC 5802', async () => {
    const { message, serverSignature } = await scramFinal(START, CHALLENGE, 'pencil')
    const hmac = (key: Buffer, text: string): Buffer =>
      createHmac('sha256', key).update(text).digest()
    const salted = pbkdf2Sync('pencil', SALT, 4096, 32, 'sha256')
    const withoutProof = message.slice(0, message.indexOf(',p='))
    const authMessage = `n=,r=${START.nonce},${CHALLENGE},${withoutProof}`
    assert.deepEqual(serverSignature, hmac(hmac(salted, 'Server Key'), authMessage))
  })

  for (const [what, challenge] of [
    ["a nonce that is not the client's", `r=other,s=${SALT.toString('base64')},i=4096`],
    ["nothing but the client's nonce", `r=${START.nonce},s=${SALT.toString('base64')},i=4096`],
    ['no salt', `r=${START.nonce}x,i=4096`],
    ['no rounds', `r=${START.nonce}x,s=c2FsdA==,i=0`],
    ['too many rounds', `r=${START.nonce}x,s=c2FsdA==,i=${MAX_ITERATIONS + 1}`],
    ['nothing', ''],
  ] as const) {
    it(`refuses a challenge with ${what}`, async () => {
      await assert.rejects(scramFinal(START, challenge, 'x'), { code: 'POSTGRES_PROTOCOL' })
    })
  }

  for (const final of ['', 'e=invalid-proof', 'v=', 'v=AAAA']) {
    it(`refuses the server's "${final}"`, () => {
      assert.throws(() => checkServerFinal(final, Buffer.alloc(32, 1)), { code: 'POSTGRES_AUTH' })
    })
  }
})
