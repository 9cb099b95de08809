/**
 * The tls-server-end-point channel binding: a digest of the server's certificate that ties a login
 * to this TLS channel. Source: RFC 5929 section 4.1.
 */
import { createHash, X509Certificate } from 'node:crypto'

/**
 * The digest of a DER certificate with the hash of its own signature (SHA-256 in place of MD5 and
 * SHA-1). Undefined when the signature has no single hash (Ed25519, RSA-PSS): then the channel is
 * not bound.
 */
export function serverEndPoint(certificate: Uint8Array): Buffer | undefined {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm
  const hash = /(md5|sha1|sha224|sha256|sha384|sha512)/i.exec(algorithm ?? '')?.[1]?.toLowerCase()
  if (hash === undefined) return undefined
  const digest = hash === 'md5' || hash === 'sha1' ? 'sha256' : hash
  return createHash(digest).update(certificate).digest()
}
