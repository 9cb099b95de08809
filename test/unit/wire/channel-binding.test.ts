import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { serverEndPoint } from '../../../src/wire/channel-binding.ts'

// Self-signed certificates made for this test; their keys were never kept.
const ECDSA_SHA256 =
  'MIIBdTCCARugAwIBAgIUdj8AfGsiRzjKBuG0NPjxniTvFlkwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEdGVzdDAgFw0y' +
  'NjExMjIwOTUzNTlaGA8yMTI2MTAyOTA5NTM1OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH' +
  'A0IABNO3Gr5/1s/V9yi4zG3gVuSEQgFIVAlKLQjVfYeIjOTQQjGFHWN0J6fVcHPzK/vUilLsB6KieJ0pAYFiXbAOq3Wj' +
  'UzBRMB0GA1UdDgQWBBR1SEFutnB8sx5eh7Dll6QES54oYDAfBgNVHSMEGDAWgBR1SEFutnB8sx5eh7Dll6QES54oYDAP' +
  'BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCKLrAkZCtxQkA6Y10vnw74SZO8+YQjhIEz2eFUoa+VWgIg' +
  'HTrOA4nLZPb1dqvHCaCMHzeeqRRMwTiPjHLza7YVCus='
const ECDSA_SHA512 =
  'MIIBdTCCARugAwIBAgIUah0DtnEuMUzuhmTJrFasDzop3JQwCgYIKoZIzj0EAwQwDzENMAsGA1UEAwwEdGVzdDAgFw0y' +
  'NjExMjIwOTUzNTlaGA8yMTI2MTAyOTA5NTM1OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH' +
  'A0IABBHYsuPQmgrY640Lkp3uUvV52pvCLv6PUlw3U2epTdpJbLupozOyqSwiwIsmTB2FolvhMBSV3NHf5nY2BuzcOVaj' +
  'UzBRMB0GA1UdDgQWBBTD7qHAQde1pSkGDMv1NMPyCtZjRzAfBgNVHSMEGDAWgBTD7qHAQde1pSkGDMv1NMPyCtZjRzAP' +
  'BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMEA0gAMEUCIAOWgi2t0rYvAkSw+jK8FomWJ3BAwjEmUXaBRk9IPJFTAiEA' +
  '4eRX0xc+irS5kqIkK9PLsrVSorXa3slkNC0RcBCeb34='
const ED25519 =
  'MIIBNDCB56ADAgECAhQwrHGv7Sq7+wtT1CpKit6Tn0GG5zAFBgMrZXAwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIw' +
  'OTUzNTlaGA8yMTI2MTAyOTA5NTM1OVowDzENMAsGA1UEAwwEdGVzdDAqMAUGAytlcAMhANulveneIlFAct3DWZxunodX' +
  'bIEWLrqiQ1gSNXlLhIM+o1MwUTAdBgNVHQ4EFgQUfE4azf1k4dZ520mJPRQ9sO6b/R4wHwYDVR0jBBgwFoAUfE4azf1k' +
  '4dZ520mJPRQ9sO6b/R4wDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQBh9Al21WHvzhxK/M2TP65apiq1UV6ot/Tf1AGb' +
  'ReRvQobH3aUN5tiBaO6j9pp/++AwyHbUqz9fxzvMAxs+JdwP'
const RSA_SHA1 =
  'MIIB9jCCAV+gAwIBAgIUIMVdBjmOasjLRGB2W/7QMQYFiHUwDQYJKoZIhvcNAQEFBQAwDDEKMAgGA1UEAwwBdDAgFw0y' +
  'NjExMjIwOTUzNTlaGA8yMTI2MTAyOTA5NTM1OVowDDEKMAgGA1UEAwwBdDCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkC' +
  'gYEArrfdCV8J2CuoqC3RbuOSK5i9vItKUrRE7nXjAtShdM9700+f2n4EHp7FVEZkzhJPDnCUqikYzNeJElxQy2bEwF8R' +
  'zq/9Ma6DzIJFZGrdHYgzan9M52KtD2SUcItV2i58o9vAGmJtAJn1czPK/pn0DltnCQS8qAjSNwmS11TIS2cCAwEAAaNT' +
  'MFEwHQYDVR0OBBYEFBbI90MC0KBs0WM62qw4W6mxQZM2MB8GA1UdIwQYMBaAFBbI90MC0KBs0WM62qw4W6mxQZM2MA8G' +
  'A1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQEFBQADgYEAEeIKwh9SoNpJTxp9abq144SKpHZZyXeqAC8IxPkqexMgSJvL' +
  'E9+0T/IgkNrafo8hHKtUfNxhurBE0w8M+gzSUjIk6CbzA2PKRf+PC0+/dVISMjBROIjibvv8qpWPTv2u0itDjgsePCN9' +
  'FTQ6l3M4Sv1l5tbrzlOTM9AEb35SCoA='

const digest = (name: string, certificate: Buffer): Buffer =>
  createHash(name).update(certificate).digest()

describe('tls-server-end-point', () => {
  for (const [what, text, hash] of [
    ['SHA-256', ECDSA_SHA256, 'sha256'],
    ['SHA-512', ECDSA_SHA512, 'sha512'],
    ['SHA-1, which SHA-256 replaces,', RSA_SHA1, 'sha256'],
  ] as const) {
    it(`of a certificate signed with ${what} is its digest`, () => {
      const certificate = Buffer.from(text, 'base64')
      assert.deepEqual(serverEndPoint(certificate), digest(hash, certificate))
    })
  }

  it('of a certificate whose signature has no hash is not defined', () => {
    assert.equal(serverEndPoint(Buffer.from(ED25519, 'base64')), undefined)
  })
})
